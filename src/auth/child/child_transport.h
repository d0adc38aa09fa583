// A peer reached through a program that we run (ssh, or the client program itself): its standard input and
// output are the connection. What it says on its standard error becomes part of the error when it ends or
// does not answer. Loop thread.
//
// Destroying the transport closes the program's input, and gives it kEndGrace to take its leave of the peer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loop/loop.h"
#include "loop/process.h"
#include "loop/stream.h"

namespace headrace::auth {

// The first byte must have come by then. Below the half minute after which a requester gives up by itself,
// since that could not tell what the program said.
inline constexpr base::Duration kAnswerDeadline = std::chrono::seconds(28);
// After the connection's end: for the program's exit status and last words.
inline constexpr base::Duration kLastWordsGrace = std::chrono::seconds(2);
inline constexpr base::Duration kEndGrace = std::chrono::seconds(10);
// Of its standard error, the end is kept.
inline constexpr size_t kMaxWordsBytes = 4096;

// What the end of a program means to its user.
struct Meaning {
  base::ErrorKind kind = base::ErrorKind::gone;
  std::string advice;  // what to try; may be empty
};
using Explain = Meaning (*)(std::string_view words);

struct ChildPeer {
  std::string name;                    // "ssh to mill": what errors call it
  std::string program;                 // absolute path
  std::vector<std::string> arguments;  // argv, with argv[0]
  std::vector<std::string> environment;
  // What to make of what it said before it ended; null: nothing.
  Explain explain = nullptr;
  base::Duration answer_deadline = kAnswerDeadline;
};

// Error: the program cannot be run.
base::Result<std::unique_ptr<loop::Duplex>> run_as_transport(loop::Loop& loop, ChildPeer peer);

// "NAME=value" of our own environment for these names, and a plain PATH.
std::vector<std::string> environment_with(std::initializer_list<const char*> names);

// The last lines of a program's standard error in one line, without what would disturb a terminal.
std::string last_words(std::string_view text);

}  // namespace headrace::auth
