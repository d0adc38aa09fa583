#include "cli/plan_json.h"

#include <utility>

#include "server/drive/level_reasons.h"

namespace headrace::cli {

using Json = nlohmann::ordered_json;

static const char* source_name(plan::EstimateSource source) {
  switch (source) {
    case plan::EstimateSource::client:
      return "client";
    case plan::EstimateSource::calcsize:
      return "calcsize";
    case plan::EstimateSource::history:
      return "server";
    case plan::EstimateSource::guess:
      break;
  }
  return "guess";
}

Json level_json(const plan::PlannedLevel& level, const config::DiskListEntry& disk,
                const config::ServerConfig& config) {
  Json parameters = Json::array();
  for (const auto& it : drive::parameters_of(level.reason.why, disk, config))
    parameters.push_back({{"name", it.name}, {"value", it.value}, {"of", it.of}});
  return {{"level", level.level},
          {"native_kib", level.native_kib},
          {"stored_kib", level.stored_kib},
          {"kps", level.kps},
          {"estimate", source_name(level.source)},
          {"reason", level.reason.sentence()},
          {"code", drive::code_of(level.reason.why)},
          {"parameters", std::move(parameters)}};
}

}  // namespace headrace::cli
