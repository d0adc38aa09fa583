// The state that processes share about one chg-disk changer: the current slot of each configuration and which
// process has which slot loaded. Read and changed under an fcntl lock on the file itself, in place, since
// Amanda's processes lock the same inode. Blocking.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/volume/vtape/perl_value.h"

namespace headrace::vtape {

// Whose current slot is meant.
struct ChangerUser {
  std::string config;
  std::string storage;
  std::string changer;
};

struct Loaded {
  std::string drive;  // "drive0"
  std::string slot;   // "slot1"
  pid_t pid = 0;
};

// A view of the state's value; unknown members are kept as they are.
class ChangerState {
 public:
  explicit ChangerState(PerlValue value) : value_(std::move(value)) {}
  const PerlValue& value() const { return value_; }

  // "slot3" as remembered for `user`, else for everybody; empty: none.
  std::string current(const ChangerUser& user) const;
  void set_current(const ChangerUser& user, const std::string& slot);

  // Slots loaded by live processes; entries of dead ones are dropped.
  std::vector<Loaded> loaded();
  // Precondition: the slot is not loaded.
  void add_loaded(const std::string& slot, pid_t pid);
  void remove_loaded(const std::string& slot, pid_t pid);

 private:
  PerlValue value_;
};

// Reads the state, lets `change` alter it and writes it back when it did, all under the lock. A missing,
// empty or senseless file is an empty state, as for Amanda. Error again: others held the lock for `patience`.
base::Result<> with_state(const std::filesystem::path& file, std::chrono::milliseconds patience,
                          const std::function<base::Result<>(ChangerState&)>& change);

}  // namespace headrace::vtape
