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

void Runner::Impl::sample_progress() {
  progress_ = loop_.after(kProgressEvery, [this] {
    for (auto& [id, job] : jobs_) {
      if (job.write)
        sample_write(job);
      else if (job.dump)
        sample_dump(job);
    }
    tell_run_verdict();
    settle_waiting();
    sample_progress();
  });
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
  job.watch->add(std::move(sample));
  progress.joints = job.watch->joints();
  progress.tcp = job.watch->tcp();
  recorder_->record(progress);
  tell_verdict(job);
}

void Runner::Impl::sample_write(JobInfo& job) {
  journal::DumpProgress progress{.image = job.image, .bytes = job.write->bytes()};
  if (const auto* meter = job.write->meter()) {
    PathSample sample{.at = loop_.clock().now(), .joints = {meter->snapshot()}};
    sample.thread = loop::cpu_use_of_this_thread();
    job.watch->add(std::move(sample));
    progress.joints = job.watch->joints();
  }
  recorder_->record(progress);
  tell_verdict(job);
}

void Runner::Impl::tell_verdict(JobInfo& job) {
  const auto seen = job.watch->observe();
  if (!seen) return;
  job.judgement = flow::judge(*seen);
  const std::string verdict(flow::name_of(job.judgement->verdict));
  const auto now = loop_.clock().now();
  const bool surer = job.judgement->confidence >= job.told_confidence + kSurer;
  if (verdict == job.told_verdict && !surer && now - job.told_at < kTellAgainAfter) return;
  job.told_verdict = verdict;
  job.told_confidence = job.judgement->confidence;
  job.told_at = now;
  recorder_->record(journal::Verdict{job.image, verdict, job.judgement->confidence, job.judgement->evidence,
                                     job.watch->rate()});
}

void Runner::Impl::tell_wait(JobInfo& job, Wait why) {
  InForce now{.config = config_, .disk = job.disk, .in_parallel = in_parallel_};
  if (job.disk != nullptr) {
    now.max_dumps = max_dumps_of(*job.disk);
    const auto kps = interface_kps_.find(job.disk->interface_name);
    now.interface_kps = kps == interface_kps_.end() ? 0 : kps->second;
  }
  recorder_->record(journal::Waiting{job.image, std::string(text_of(why)), std::string(code_of(why)),
                                     parameters_of(why, now)});
  job.judgement = flow::judge_waiting(verdict_of(why), text_of(why));
  recorder_->record(journal::Verdict{job.image, std::string(flow::name_of(job.judgement->verdict)),
                                     job.judgement->confidence, job.judgement->evidence, 0});
}

void Runner::Impl::tell_run_verdict() {
  std::vector<flow::Judgement> moving;
  size_t waiting = 0;
  uint64_t rate = 0;
  for (const auto& [id, job] : jobs_) {
    if (!job.judgement) continue;
    if (job.dump || job.write) {
      moving.push_back(*job.judgement);
      if (job.dump) rate += job.watch->rate();
    } else if (job.judgement->verdict == flow::Verdict::scheduled) {
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
