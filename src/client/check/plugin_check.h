// Asks an application to check a DLE itself. Owned by selfcheck; destroying it ends the application. Loop
// thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "client/archive/application_api.h"
#include "client/archive/child_text.h"
#include "client/check/checks.h"

namespace headrace::client {

class PluginCheck {
 public:
  // The request outlives this.
  PluginCheck(loop::Loop& loop, const ClientRequest& request, const wire::Dle& dle,
              std::filesystem::path program);
  // `done` comes once, later; this may be destroyed in it.
  void start(std::move_only_function<void(CheckMessages)> done);

 private:
  void supported(base::Result<ChildTalk> talk);
  void checked(base::Result<ChildTalk> talk);
  void complain(const std::string& text);
  void report();

  loop::Loop& loop_;
  const ClientRequest& request_;
  const wire::Dle& dle_;
  std::filesystem::path program_;
  std::move_only_function<void(CheckMessages)> done_;
  std::unique_ptr<ChildText> child_;
  CheckMessages messages_;
};

}  // namespace headrace::client
