// The runner's meters: samples of what moves, and verdicts about it, once a second.
#include <algorithm>

#include "server/drive/reasons.h"
#include "server/drive/runner_impl.h"

namespace headrace::drive {

namespace {

constexpr auto kProgressEvery = std::chrono::seconds(1);
// A verdict that stays is told again this often, so that its numbers and its rate do not grow old.
constexpr auto kTellAgainAfter = std::chrono::seconds(10);
// Or sooner, once it is so much surer: the first verdict of a dump rests on little.
constexpr double kSurer = 0.1;

}  // namespace

void Watched::begin(PathShape shape) {
  judgement.reset();
  watch = std::make_unique<PathWatch>(shape);
  told_verdict.clear();
}

void Watched::end() {
  watch.reset();
  judgement.reset();
}

void Runner::Impl::sample_progress() {
  progress_ = loop_.after(kProgressEvery, [this] {
    for (auto& [id, job] : jobs_) {
      if (job.dump) sample_dump(job);
      for (size_t storage = 0; storage < job.copies.size(); ++storage)
        if (job.copies[storage].write) sample_write(job, storage, job.copies[storage]);
    }
    sample_together();
    pace();
    tell_run_verdict();
    settle_waiting();
    sample_progress();
  });
}

void Runner::Impl::sample_together() {
  std::vector<TogetherMeter::Moving> moving;
  for (const auto& [id, job] : jobs_)
    if (job.dump) moving.push_back({id, job.image.host, job.attempt, job.dump->bytes()});
  together_.sample(loop_.clock().now(), moving);
}

void Runner::Impl::sample_dump(JobInfo& job) {
  journal::DumpProgress progress{.image = job.image, .bytes = job.dump->bytes()};
  PathSample sample{.at = loop_.clock().now(), .joints = {}};
  for (const auto* meter : job.dump->meters()) sample.joints.push_back(meter->snapshot());
  if (sample.joints.empty()) {
    progress.waits_for = "the client's answer";
    return recorder_->record(progress);
  }
  sample.client = job.dump->client_meters();
  sample.tcp = loop::tcp_facts_of(job.dump->data_fd());
  sample.thread = loop::cpu_use_of_this_thread();
  if (job.holding_target) sample.waited_for_room = job.holding_target->waited_for_room();
  job.watched.watch->add(std::move(sample));
  progress.joints = job.watched.watch->joints();
  progress.tcp = job.watched.watch->tcp();
  recorder_->record(progress);
  tell_verdict(job, {}, job.watched);
}

void Runner::Impl::sample_write(const JobInfo& job, size_t storage, CopyInfo& copy) {
  const std::string& name = storage_at(storage).name;
  journal::DumpProgress progress{.image = job.image, .bytes = copy.write->bytes(), .storage = name};
  if (const auto* meter = copy.write->meter()) {
    PathSample sample{.at = loop_.clock().now(), .joints = {meter->snapshot()}};
    sample.thread = loop::cpu_use_of_this_thread();
    copy.watched.watch->add(std::move(sample));
    progress.joints = copy.watched.watch->joints();
  }
  recorder_->record(progress);
  tell_verdict(job, name, copy.watched);
}

void Runner::Impl::tell_verdict(const JobInfo& job, const std::string& storage, Watched& watched) {
  const auto seen = watched.watch->observe();
  if (!seen) return;
  watched.judgement = flow::judge(*seen);
  const std::string verdict(flow::name_of(watched.judgement->verdict));
  const auto now = loop_.clock().now();
  const bool surer = watched.judgement->confidence >= watched.told_confidence + kSurer;
  if (verdict == watched.told_verdict && !surer && now - watched.told_at < kTellAgainAfter) return;
  watched.told_verdict = verdict;
  watched.told_confidence = watched.judgement->confidence;
  watched.told_at = now;
  recorder_->record(journal::Verdict{job.image, verdict, watched.judgement->confidence,
                                     watched.judgement->evidence, watched.watch->rate(), storage});
}

void Runner::Impl::tell_wait(JobInfo& job, const NowWaits& waits) {
  InForce now{.config = config_, .disk = job.disk, .in_parallel = in_parallel_};
  if (job.disk != nullptr) {
    now.max_dumps = max_dumps_of(*job.disk);
    const auto kps = interface_kps_.find(job.disk->interface_name);
    now.interface_kps = kps == interface_kps_.end() ? 0 : kps->second;
  }
  std::string text(text_of(waits.why));
  if (waits.storage) {
    now.storage = &storage_at(*waits.storage);
    text += of_storage(*waits.storage);
  }
  recorder_->record(
      journal::Waiting{job.image, text, std::string(code_of(waits.why)), parameters_of(waits.why, now)});
  auto& judgement = job.watched.judgement;
  judgement = flow::judge_waiting(verdict_of(waits.why), text);
  recorder_->record(journal::Verdict{job.image,
                                     std::string(flow::name_of(judgement->verdict)),
                                     judgement->confidence,
                                     judgement->evidence,
                                     0,
                                     {}});
}

void Runner::Impl::tell_run_verdict() {
  std::vector<flow::Judgement> moving;
  size_t waiting = 0;
  uint64_t rate = 0;
  for (const auto& [id, job] : jobs_) {
    for (const auto& copy : job.copies)
      if (copy.write && copy.watched.judgement) moving.push_back(*copy.watched.judgement);
    const auto& judgement = job.watched.judgement;
    if (!judgement) continue;
    if (job.dump) {
      moving.push_back(*judgement);
      rate += job.watched.watch->rate();
    } else if (judgement->verdict == flow::Verdict::scheduled) {
      ++waiting;
    }
  }
  if (moving.empty() && waiting == 0) return;
  const auto judgement = judge_run(moving, waiting);
  const std::string verdict(flow::name_of(judgement.verdict));
  const auto now = loop_.clock().now();
  if (verdict == told_run_verdict_ && now - told_run_at_ < kTellAgainAfter) return;
  told_run_verdict_ = verdict;
  told_run_at_ = now;
  recorder_->record(journal::RunVerdict{verdict, judgement.confidence, judgement.evidence, rate});
}

}  // namespace headrace::drive
