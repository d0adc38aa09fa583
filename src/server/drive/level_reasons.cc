#include "server/drive/level_reasons.h"

#include <fmt/format.h>

namespace headrace::drive {
namespace {

using journal::Parameter;
using plan::Why;

const char* word_of(config::EstimateMethod method) {
  switch (method) {
    case config::EstimateMethod::client:
      return "client";
    case config::EstimateMethod::calcsize:
      return "calcsize";
    case config::EstimateMethod::server:
      return "server";
  }
  return "";
}

std::vector<Parameter> room(const config::ServerConfig& config) {
  const auto& storage = config.first_storage();
  std::vector<Parameter> out = {
      {"runtapes", fmt::format("{}", storage.runtapes), storage.name},
      {"length", fmt::format("{} KiB", storage.tapetype.length_kib), storage.tapetype.name}};
  if (config.globals.maxdumpsize_kib > 0)
    out.push_back({"maxdumpsize", fmt::format("{} KiB", config.globals.maxdumpsize_kib)});
  return out;
}

}  // namespace

std::string_view code_of(Why why) {
  switch (why) {
    case Why::first_full:
      return "first-full";
    case Why::full_forced:
      return "full-forced";
    case Why::full_due:
      return "full-due";
    case Why::full_lost:
      return "full-lost";
    case Why::full_failed:
      return "full-failed";
    case Why::always_full:
      return "always-full";
    case Why::incremental:
      return "incremental";
    case Why::base_lost:
      return "base-lost";
    case Why::base_misdated:
      return "base-misdated";
    case Why::base_failed:
      return "base-failed";
    case Why::past_failed:
      return "past-failed";
    case Why::on_failed:
      return "on-failed";
    case Why::never_full:
      return "never-full";
    case Why::incr_only:
      return "incr-only";
    case Why::level_1_forced:
      return "level-1-forced";
    case Why::bump_forced:
      return "bump-forced";
    case Why::no_bump_forced:
      return "no-bump-forced";
    case Why::bumped:
      return "bumped";
    case Why::not_bumped:
      return "not-bumped";
    case Why::too_early:
      return "too-early";
    case Why::no_volume:
      return "no-volume";
    case Why::no_full_size:
      return "no-full-size";
    case Why::no_incremental_size:
      return "no-incremental-size";
    case Why::promoted:
      return "promoted";
    case Why::promoted_from_hill:
      return "promoted-from-hill";
    case Why::delayed:
      return "delayed";
  }
  return "";
}

std::vector<Parameter> parameters_of(Why why, const config::DiskListEntry& disk,
                                     const config::ServerConfig& config) {
  const auto& type = disk.dumptype;
  const auto of_type = [&type](const char* name, std::string value) {
    return Parameter{name, std::move(value), type.name};
  };
  switch (why) {
    case Why::full_due:
    case Why::incremental:
      return {of_type("dumpcycle", fmt::format("{} days", type.dumpcycle_days))};
    case Why::always_full:
      return {of_type("strategy", "noinc")};
    case Why::past_failed:
    case Why::on_failed:
      return {of_type("strategy", type.strategy == config::Strategy::nofull ? "nofull" : "incronly")};
    case Why::never_full:
      return {of_type("strategy", "nofull")};
    case Why::incr_only:
      return {of_type("strategy", "incronly")};
    case Why::bumped:
    case Why::not_bumped: {
      auto least = type.bump_percent != 0 ? of_type("bumppercent", fmt::format("{}", type.bump_percent))
                                          : of_type("bumpsize", fmt::format("{} KiB", type.bump_size_kib));
      return {std::move(least), of_type("bumpmult", fmt::format("{:g}", type.bump_mult))};
    }
    case Why::too_early:
      return {of_type("bumpdays", fmt::format("{}", type.bump_days))};
    case Why::no_full_size:
    case Why::no_incremental_size: {
      std::string methods;
      for (const auto method : type.estimate)
        methods += (methods.empty() ? "" : " ") + std::string(word_of(method));
      return {of_type("estimate", std::move(methods))};
    }
    case Why::promoted:
    case Why::promoted_from_hill:
      return {of_type("maxpromoteday", fmt::format("{}", type.max_promote_days))};
    case Why::delayed:
      return room(config);
    case Why::no_volume:
      return {{"runtapes", fmt::format("{}", config.first_storage().runtapes), config.first_storage().name},
              {"reserve", fmt::format("{}", config.globals.reserve_percent)}};
    case Why::first_full:
    case Why::full_forced:
    case Why::full_lost:
    case Why::full_failed:
    case Why::base_lost:
    case Why::base_misdated:
    case Why::base_failed:
    case Why::level_1_forced:
    case Why::bump_forced:
    case Why::no_bump_forced:
      break;
  }
  return {};
}

}  // namespace headrace::drive
