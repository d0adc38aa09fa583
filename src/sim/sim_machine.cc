#include "sim/sim_machine.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/crc32c.h"
#include "wire/dle_request.h"
#include "wire/noop.h"
#include "wire/sendbackup.h"
#include "wire/sendsize.h"

namespace headrace::sim {

// ---- a disk ----

SimDisk::SimDisk(uint64_t seed, size_t files, uint64_t file_bytes) : seed_(seed), file_bytes_(file_bytes) {
  for (size_t i = 0; i < files; ++i) files_[next_file_++] = version_;
}

void SimDisk::change(Random& random, unsigned per_mille) {
  ++version_;
  for (auto& [file, version] : files_)
    if (random.below(1000) < per_mille) version = version_;
  if (random.one_in(3)) files_[next_file_++] = version_;
  if (files_.size() > 2 && random.one_in(4)) {
    auto gone = files_.begin();
    std::advance(gone, static_cast<std::ptrdiff_t>(random.below(files_.size())));
    files_.erase(gone);
  }
}

void SimDisk::grow(Random& random, size_t files) {
  ++version_;
  for (size_t i = 0; i < files; ++i) files_[next_file_++] = version_;
  if (random.one_in(2)) files_[next_file_++] = version_;
}

uint64_t SimDisk::base_of(int level) const {
  const auto above = recorded_.lower_bound(level);
  return above == recorded_.begin() ? 0 : std::prev(above)->second;
}

uint64_t SimDisk::bytes_of(uint64_t file) const {
  return 1 + Random(seed_ * 1'000'003 + file).below(2 * file_bytes_);
}

// A line a file: "number version bytes", the content behind it; 0 bytes: it is as it was.
std::string SimDisk::archive(int level) const {
  const uint64_t base = base_of(level);
  std::string out = fmt::format("{}\n", files_.size());
  for (const auto& [file, version] : files_) {
    const uint64_t bytes = version > base ? bytes_of(file) : 0;
    out += fmt::format("{} {} {}\n", file, version, bytes);
    Random content(seed_ ^ (file << 32U) ^ version);
    const size_t end = out.size() + bytes;
    while (out.size() + 8 <= end) {
      const uint64_t word = content.next();
      out.append(reinterpret_cast<const char*>(&word), 8);
    }
    out.resize(end, '.');
  }
  return out;
}

uint64_t SimDisk::archive_bytes(int level) const {
  const uint64_t base = base_of(level);
  uint64_t bytes = 8;
  for (const auto& [file, version] : files_) bytes += 12 + (version > base ? bytes_of(file) : 0);
  return bytes;
}

namespace {

std::optional<uint64_t> number_up_to(std::string_view& text, char end) {
  uint64_t value = 0;
  const auto [at, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto used = static_cast<size_t>(at - text.data());
  if (fault != std::errc() || used >= text.size() || *at != end) return std::nullopt;
  text.remove_prefix(used + 1);
  return value;
}

}  // namespace

bool SimDisk::restore(std::string_view archive, SimFiles& files) {
  const auto count = number_up_to(archive, '\n');
  if (!count) return false;
  SimFiles restored;
  for (uint64_t i = 0; i < *count; ++i) {
    const auto file = number_up_to(archive, ' ');
    const auto version = file ? number_up_to(archive, ' ') : std::nullopt;
    const auto bytes = version ? number_up_to(archive, '\n') : std::nullopt;
    if (!bytes || *bytes > archive.size()) return false;
    archive.remove_prefix(*bytes);
    // What is not in this archive is there from the ones before, or lost.
    const auto before = files.find(*file);
    restored[*file] = *bytes > 0 ? *version : before == files.end() ? 0 : before->second;
  }
  files = std::move(restored);
  return archive.empty();
}

namespace {

constexpr int kGzipFormat = 15 + 16;  // largest window, gzip wrapper: see zlib's deflateInit2
constexpr int kUsualMemory = 8;

}  // namespace

std::string SimDisk::gzip(std::string_view archive) {
  z_stream stream{};
  HEADRACE_CHECK(
      deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipFormat, kUsualMemory, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, archive.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(archive.data()));
  stream.avail_in = static_cast<uInt>(archive.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  HEADRACE_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::optional<std::string> SimDisk::gunzip(std::string_view stored) {
  z_stream stream{};
  HEADRACE_CHECK(inflateInit2(&stream, kGzipFormat) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(stored.data()));
  stream.avail_in = static_cast<uInt>(stored.size());
  std::string out;
  std::array<char, 65536> piece;
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  }
  const bool whole = state == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  return whole ? std::optional(std::move(out)) : std::nullopt;
}

// ---- a machine ----

class SimMachine::Everybody : public auth::Authorizer {
 public:
  void ask(auth::Question, auth::Answer answer) override { answer(std::string("client")); }
};

class SimMachine::TextService : public exchange::Service {
 public:
  TextService(exchange::ServiceCall& call, std::string text) : call_(call), text_(std::move(text)) {}
  void start() override {
    call_.reply(text_);
    call_.finished();
  }

 private:
  exchange::ServiceCall& call_;
  std::string text_;
};

// Sends header, data, index and end, each to its stream, all at the same time as far as the peer takes them;
// what the end says comes when the data is out, as from a real client.
class SimMachine::DumpService : public exchange::Service {
 public:
  DumpService(SimMachine& machine, exchange::ServiceCall& call, std::string name, int level, bool compresses)
      : machine_(machine), call_(call), name_(std::move(name)), level_(level), compresses_(compresses) {}

  void start() override {
    SimDisk& disk = machine_.disks_.at(name_);
    version_ = disk.version();
    std::string data = disk.archive(level_);
    if (machine_.dumped_) machine_.dumped_(name_, level_, disk.files());
    bytes_ = data.size();
    native_crc_ = crc_of(data);
    if (compresses_) data = SimDisk::gzip(data);
    crc_ = crc_of(data);
    Random& random = machine_.random_;
    if (random.one_in(machine_.faults_.damage_one_in)) {
      // In a place that is content and not a number.
      data.back() = static_cast<char>(data.back() ^ 1);
      if (machine_.faults_.damage_keeps_checksum) {
        data.resize(data.size() / 2);
        bytes_ = data.size();
        native_crc_ = crc_ = crc_of(data);
      }
    }
    fails_ = random.one_in(machine_.faults_.error_one_in);
    if (fails_) data.resize(data.size() / 2);
    strange_ = random.one_in(machine_.faults_.strange_one_in);
    outs_[kData].text = std::move(data);
    outs_[kIndex].text = "/\n/files\n";
    outs_[kMesg].text = wire::mesg_start("client", name_, level_) + wire::mesg_info("BACKUP", "/bin/tar") +
                        wire::mesg_info("RECOVER_CMD", compresses_ ? "/bin/gzip -dc |/bin/tar -xpGf - ..."
                                                                   : "/bin/tar -xpGf - ...") +
                        (compresses_ ? wire::mesg_info("COMPRESS_SUFFIX", ".gz") : "") +
                        "sendbackup: info end\n";
    call_.reply_with_streams({{"DATA", true}, {"MESG", true}, {"INDEX", true}}, "OPTIONS ;\n",
                             [this](base::Result<exchange::Streams> streams) {
                               if (!streams) return call_.finished();
                               for (size_t i = 0; i < outs_.size(); ++i)
                                 outs_[i].stream = std::move((*streams)[i]);
                               go_on(kMesg);
                               go_on(kData);
                               go_on(kIndex);
                             });
  }

 private:
  enum Out : size_t { kData, kMesg, kIndex };
  struct OutStream {
    std::unique_ptr<loop::Duplex> stream;
    std::string text;
    size_t at = 0;
    bool finishing = false;
    bool ended = false;
  };

  static base::CrcAndSize crc_of(const std::string& data) {
    base::Crc32c crc;
    crc.add(base::as_bytes(data));
    return crc.value();
  }

  void go_on(Out which) {
    OutStream& out = outs_[which];
    while (out.at < out.text.size()) {
      const iovec piece{out.text.data() + out.at, out.text.size() - out.at};
      const auto put = out.stream->write({&piece, 1});
      if (put.state == loop::IoState::wait)
        return out.stream->await_writable([this, which] { go_on(which); });
      if (put.state != loop::IoState::moved) return over();
      out.at += put.bytes;
    }
    if (which == kMesg && !closing_) return;  // the end is said when the data is out
    if (out.finishing) return;
    out.finishing = true;
    out.stream->finish([this, which](const base::Result<>& done) {
      if (!done) return over();
      outs_[which].ended = true;
      ended(which);
    });
  }

  void ended(Out which) {
    if (which == kData) {
      closing_ = true;
      outs_[kMesg].text += end_text();
      return go_on(kMesg);
    }
    if (!outs_[kData].ended || !outs_[kMesg].ended || !outs_[kIndex].ended) return;
    if (!fails_) machine_.disks_.at(name_).record(level_, version_);
    over();
  }

  std::string end_text() const {
    if (fails_) return wire::mesg_error("/bin/tar returned 2");
    std::string text = strange_ ? "? tar: a file changed as we read it\n" : "";
    return text + fmt::format(
                      "sendbackup: native-CRC {}\nsendbackup: client-CRC {}\nsendbackup: size {}\n"
                      "sendbackup: end\n",
                      native_crc_.text(), crc_.text(), (bytes_ + 1023) / 1024);
  }

  void over() {
    if (!std::exchange(over_, true)) call_.finished();
  }

  SimMachine& machine_;
  exchange::ServiceCall& call_;
  const std::string name_;
  const int level_;
  const bool compresses_;
  uint64_t version_ = 0;
  uint64_t bytes_ = 0;
  base::CrcAndSize native_crc_;
  base::CrcAndSize crc_;  // of what is sent
  bool fails_ = false;
  bool strange_ = false;
  bool closing_ = false;
  bool over_ = false;
  std::array<OutStream, 3> outs_;
};

SimMachine::SimMachine(SimLoop& loop, std::map<std::string, SimDisk>& disks, SimFaults faults, uint64_t seed)
    : loop_(loop), disks_(disks), faults_(faults), random_(seed), everybody_(std::make_unique<Everybody>()) {
  responder_ = std::make_unique<exchange::Responder>(
      loop_, *everybody_, [this](exchange::ServiceCall& call) { return make(call); });
}

void SimMachine::serve(std::shared_ptr<auth::MuxConnection> connection) {
  responder_->serve(std::move(connection), {"bsdtcp", loop::Address::ipv4(0x7f000001, 1000)});
}

void SimMachine::serve_datagrams(std::shared_ptr<auth::Arrivals> arrivals, const loop::Address& address) {
  responder_->serve(std::move(arrivals), {"bsd", address});
}

base::Result<std::unique_ptr<exchange::Service>> SimMachine::make(exchange::ServiceCall& call) {
  const auto& request = call.request();
  if (request.service == "noop")
    return std::make_unique<TextService>(call, wire::encode_noop_reply(wire::FeatureSet::ours_as_client()));
  if (request.service == "sendsize") return std::make_unique<TextService>(call, sizes(request.arguments));
  if (request.service != "sendbackup") return base::fail(base::ErrorKind::refused, "no such service");
  auto dle = wire::parse_dle_request(request.arguments, wire::DleFor::sendbackup);
  if (!dle) return std::unexpected(dle.error());
  const wire::Dle& wanted = dle->dles.front();
  if (!disks_.contains(wanted.disk))
    return base::fail(base::ErrorKind::refused, wanted.disk + ": no such disk");
  const bool compresses = wanted.compress == wire::Compress::fast || wanted.compress == wire::Compress::best;
  return std::make_unique<DumpService>(*this, call, wanted.disk, wanted.levels.front().level, compresses);
}

std::string SimMachine::sizes(const std::string& arguments) {
  wire::SendsizeReply reply;
  auto request = wire::parse_dle_request(arguments, wire::DleFor::sendsize);
  if (!request) return "ERROR " + request.error().what() + "\n";
  for (const auto& dle : request->dles) {
    const auto disk = disks_.find(dle.disk);
    for (const auto& level : dle.levels) {
      wire::Estimate estimate{dle.disk, level.level, {}, {}, {}};
      estimate.kib = wire::kNoEstimate;
      if (disk != disks_.end() && !random_.one_in(faults_.no_estimate_one_in)) {
        estimate.kib = static_cast<int64_t>(disk->second.archive_bytes(level.level) / 1024 + 1);
        if (random_.one_in(faults_.absurd_one_in))
          estimate.kib = random_.one_in(2) ? 0 : *estimate.kib * 1'000'000;
      }
      reply.estimates.push_back(std::move(estimate));
    }
  }
  return wire::encode_sendsize_reply(reply, wire::FeatureSet::ours_as_server());
}

}  // namespace headrace::sim
