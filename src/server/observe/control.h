// The control socket of a run: a Unix stream socket beside the run's journal, on which an operator's commands
// ask and change things while the run goes on. ControlServer is the run's end, owned by the command that runs
// it; ControlClient the other. Loop thread. Knows the format (control_codec.h), not what a request means:
// that is the handler's. Only root, the run's own user and the owner of the log directory may talk.
//
// A client that sends rubbish, too much, or nothing for kControlIdle, or does not read, loses its connection
// and harms nobody: replies are made at once from what is in memory, and every buffer is bounded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "loop/loop.h"
#include "server/observe/control_codec.h"

namespace headrace::observe {

inline constexpr size_t kMaxControlClients = 16;
// An experiment that holds gates and says nothing for so long is over, and its gates are opened.
inline constexpr base::Duration kControlIdle = std::chrono::seconds(30);
// How long a command waits for a reply.
inline constexpr base::Duration kControlReplyTimeout = std::chrono::seconds(10);

// `<logdir>/control.<timestamp>`.
std::filesystem::path control_path_of(const std::filesystem::path& logdir, const std::string& timestamp);

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  // `client` is unique within the run. Must not block.
  virtual ControlReply handle(const ControlRequest& request, uint64_t client) = 0;
  // That client's connection has ended.
  virtual void gone(uint64_t client) = 0;
};

class ControlServer {
 public:
  // Makes the socket, and removes those of runs that are over. The run's journal must be locked already: that
  // is how others know a living run's socket. Borrows loop and handler.
  static base::Result<std::unique_ptr<ControlServer>> open(loop::Loop& loop,
                                                           const std::filesystem::path& logdir,
                                                           const std::string& timestamp,
                                                           ControlHandler& handler);
  // Removes the socket and ends all connections; gone() is called for each.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  class Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class ControlClient {
 public:
  // Connects at once; the error says why nobody answers there.
  static base::Result<std::unique_ptr<ControlClient>> connect(loop::Loop& loop,
                                                              const std::filesystem::path& logdir,
                                                              const std::string& timestamp);
  ~ControlClient();
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  // One at a time. `done` comes later, once: the reply, its error as an Error (refused), or the connection's.
  void ask(const ControlRequest& request, std::move_only_function<void(base::Result<ControlReply>)> done);

 private:
  class Impl;
  explicit ControlClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::observe
