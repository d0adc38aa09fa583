#include "remote_dump.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "wire/dle_request.h"
#include "wire/packet.h"
#include "wire/sendbackup.h"

namespace headrace::bench {

using base::Result;

loop::IoResult Drain::write(std::span<const iovec> pieces) {
  size_t bytes = 0;
  for (const iovec& piece : pieces) {
    if (keep_) kept_.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    bytes += piece.iov_len;
  }
  return {loop::IoState::moved, bytes};
}

void Drain::finish(std::move_only_function<void(Result<>)> done) {
  loop_.post([done = std::move(done)]() mutable { done({}); });
}

RemoteDump::RemoteDump(loop::Loop& loop, auth::Connector& connector, const DumpOptions& options,
                       wire::Dle dle)
    : loop_(loop), connector_(connector), options_(options), dle_(std::move(dle)) {
  for (size_t i = 0; i < kStreams; ++i) readers_[i] = std::make_unique<Reader>(loop, i == kMesg);
}

void RemoteDump::start(std::move_only_function<void()> streaming, Ended ended) {
  streaming_ = std::move(streaming);
  ended_ = std::move(ended);
  connecting_ = connector_.connect(options_.peer, [this](Result<std::unique_ptr<auth::Path>> path) {
    if (!path) return end(path.error().what());
    path_ = std::move(*path);
    ask();
  });
}

void RemoteDump::ask() {
  wire::DleRequest dle_request;
  dle_request.options.features = options_.features;
  dle_request.options.maxdumps = 1;
  dle_request.options.hostname = options_.peer.host;
  dle_request.options.config = options_.config;
  dle_request.options.timestamp = base::timestamp14(loop_.clock().wall_seconds());
  dle_request.dles = {dle_};
  wire::Request request;
  if (path_->names_user()) request.security_user = options_.user;
  request.service = "sendbackup";
  request.arguments =
      wire::encode_dle_request(dle_request, wire::DleFor::sendbackup, wire::FeatureSet::amanda_351());
  requester_ = std::make_unique<exchange::Requester>(loop_, path_->begin(), wire::encode_request(request),
                                                     exchange::RequestTimes{});
  requester_->start(nullptr, [this](Result<std::string> body) {
    if (!body) return end(body.error().what());
    replied(*body);
  });
}

void RemoteDump::replied(const std::string& body) {
  auto reply = wire::parse_sendbackup_reply(body);
  if (!reply) return end(reply.error().what());
  if (!reply->streams) return end(reply->errors.empty() ? "no streams" : reply->errors.front());
  std::vector<int64_t> numbers;
  for (const char* name : kStreamNames) numbers.push_back(reply->streams->id_of(name));
  requester_->open_streams(std::move(numbers),
                           [this](Result<std::vector<std::unique_ptr<loop::Duplex>>> streams) {
                             if (!streams) return end(streams.error().what());
                             receive(std::move(*streams));
                           });
}

void RemoteDump::receive(std::vector<std::unique_ptr<loop::Duplex>> streams) {
  for (size_t i = 0; i < kStreams; ++i) {
    Reader& reader = *readers_[i];
    reader.stream = std::move(streams[i]);
    reader.ended = reader.stream == nullptr;
    if (reader.ended) continue;
    flow::PumpOptions options;
    options.budget_bytes = i == kData ? options_.budget_bytes : flow::kTransformBudgetBytes;
    reader.pump = std::make_unique<flow::Pump>(loop_, *reader.stream, reader.drain, options);
    if (i == kData && options_.check_crc) reader.pump->add_tap(crc_);
    reader.pump->set_gate(reader.gate);
    reader.pump->set_throttle(reader.throttle);
    reader.pump->start([this, &reader](Result<> outcome) {
      if (!outcome) return end(outcome.error().what());
      reader.ended = true;
      for (const auto& other : readers_) {
        if (!other->ended) return;
      }
      end(verdict());
    });
  }
  streaming_();
}

std::string RemoteDump::client_crc() const {
  const std::string& text = readers_[kMesg]->drain.kept();
  for (size_t at = 0; at < text.size();) {
    const size_t newline = std::min(text.find('\n', at), text.size());
    const auto line = wire::classify_mesg(std::string_view(text).substr(at, newline - at));
    if (line.kind == wire::MesgLine::Kind::client_crc) return line.crc.text();
    at = newline + 1;
  }
  return {};
}

std::string RemoteDump::verdict() const {
  const std::string& text = readers_[kMesg]->drain.kept();
  bool ended = false;
  for (size_t at = 0; at < text.size();) {
    const size_t newline = std::min(text.find('\n', at), text.size());
    const auto line = wire::classify_mesg(std::string_view(text).substr(at, newline - at));
    if (line.kind == wire::MesgLine::Kind::error) return "the client failed: " + line.text;
    ended = ended || line.kind == wire::MesgLine::Kind::end;
    at = newline + 1;
  }
  if (!ended) return "the client did not say that it is done";
  const std::string theirs = client_crc();
  if (!options_.check_crc || theirs.empty()) return {};
  const std::string ours = crc_.value().text();
  return theirs == ours ? "" : fmt::format("the client's CRC is {}, that of what came {}", theirs, ours);
}

void RemoteDump::end(std::string fault) {
  if (std::exchange(over_, true)) return;
  // What calls us may be a pump: it goes later, and the connection with it.
  loop_.post([this, fault = std::move(fault)] {
    for (auto& reader : readers_) {
      reader->duty.reset();
      if (reader->pump) reader->pump->cancel();
    }
    requester_.reset();
    path_.reset();
    ended_(fault);
  });
}

uint64_t RemoteDump::bytes(StreamIndex which) const {
  const auto& pump = readers_[which]->pump;
  return pump ? pump->meter().snapshot().bytes : 0;
}

void RemoteDump::stop(StreamIndex which) {
  readers_[which]->duty.reset();
  readers_[which]->gate.close();
}

void RemoteDump::go(StreamIndex which) {
  readers_[which]->duty.reset();
  readers_[which]->gate.reopen();
}

void RemoteDump::set_rate(StreamIndex which, uint64_t bytes_per_second) {
  readers_[which]->throttle.set_rate(bytes_per_second);
}

void RemoteDump::set_duty(StreamIndex which, unsigned percent, base::Duration period) {
  Reader& reader = *readers_[which];
  reader.percent = percent;
  reader.period = period;
  beat(reader, true);
}

void RemoteDump::beat(Reader& reader, bool reading) {
  if (reading) {
    reader.gate.reopen();
  } else {
    reader.gate.close();
  }
  const unsigned percent = reading ? reader.percent : 100 - reader.percent;
  reader.duty =
      loop_.after(reader.period * percent / 100, [this, &reader, reading] { beat(reader, !reading); });
}

}  // namespace headrace::bench
