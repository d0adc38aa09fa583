#include "client/check/plugin_check.h"

#include <fmt/format.h>

namespace headrace::client {
namespace {

// Amanda's message number for whatever an application says against itself.
constexpr int kApplicationComplains = 3600032;

}  // namespace

PluginCheck::PluginCheck(loop::Loop& loop, const ClientRequest& request, const wire::Dle& dle,
                         std::filesystem::path program)
    : loop_(loop), request_(request), dle_(dle), program_(std::move(program)) {}

void PluginCheck::start(std::move_only_function<void(CheckMessages)> done) {
  done_ = std::move(done);
  child_ = std::make_unique<ChildText>(loop_);
  child_->start(program_, {dle_.application.plugin, "support"},
                [this](base::Result<ChildTalk> talk) { supported(std::move(talk)); });
}

void PluginCheck::supported(base::Result<ChildTalk> talk) {
  if (!talk || !talk->complaints.empty()) {
    complain(talk ? talk->complaints.front() : talk.error().what());
    return report();
  }
  auto properties = application_properties(dle_, request_.config);
  auto arguments = properties
                       ? plugin_arguments(PluginCommand::selfcheck,
                                          {.dle = dle_, .properties = *properties, .request = request_},
                                          Support::parse(talk->out))
                       : std::unexpected(properties.error());
  if (!arguments) {
    complain(arguments.error().what());
    return report();
  }
  child_ = std::make_unique<ChildText>(loop_);
  child_->start(program_, std::move(*arguments),
                [this](base::Result<ChildTalk> said) { checked(std::move(said)); });
}

void PluginCheck::checked(base::Result<ChildTalk> talk) {
  if (!talk) {
    complain(talk.error().what());
    return report();
  }
  // Either form, as the reply of selfcheck itself.
  auto said = wire::parse_selfcheck_reply(talk->out);
  if (said) {
    messages_.insert(messages_.end(), said->messages.begin(), said->messages.end());
  } else {
    complain(said.error().what());
  }
  for (const std::string& line : talk->complaints) complain(line);
  report();
}

void PluginCheck::complain(const std::string& text) {
  messages_.push_back(wire::make_check_message(
      wire::Severity::error, kApplicationComplains,
      fmt::format("{}: Application '{}': {}", dle_.disk, dle_.application.plugin, text),
      {{"application", dle_.application.plugin},
       {"errstr", text},
       {"hostname", request_.hostname},
       {"device", dle_.device_or_disk()},
       {"disk", dle_.disk}}));
}

void PluginCheck::report() {
  auto done = std::move(done_);
  done(std::move(messages_));
}

}  // namespace headrace::client
