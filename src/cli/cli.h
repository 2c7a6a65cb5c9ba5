// The command line. `sevenfold_main` is the whole program; apps/sevenfold/main.cc only calls it.
//
// How to add a command
//   1. Write src/cli/commands/<name>.cc with one public function `void add_<name>(CommandTree&)`:
//
//          struct Options { std::vector<std::string> places; };
//          int ping(Context& context, const Options& options) { …; return 0; }
//
//          void add_ping(CommandTree& tree) {
//              auto options = std::make_shared<Options>();
//              tree.command("ping", "Check that each place works.",
//                           "sevenfold ping            all places\n"
//                           "sevenfold ping offsite    one of them")
//                  .arguments("PLACE", options->places, "places to check (default: all)")
//                  .run([options](Context& context) { return ping(context, *options); });
//          }
//
//   2. Declare it in cli/commands.h and call it in cli/commands.cc: there is no registration by
//      static initialisers. Commands of the `repo` group also take std::shared_ptr<RepoOptions>.
//   3. In the body: results through context.terminal().print()/Table for people and .json() for
//      programs (both may be called always; each is silent in the other mode); sevenfold::Error for
//      everything that goes wrong; context.stop() handed to whatever takes time, so that Ctrl-C
//      ends it; ProgressDisplay while it runs. Return 0, or exit_code(ErrorKind::partial) and its
//      like when the results have been printed already.
//   Help, completion and the man page follow from what was declared.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"

namespace sevenfold::cli {

// Everything: arguments, signals, terminal. Returns the exit code and never throws.
int sevenfold_main(int argc, char** argv);

// The same for tests: arguments without the program's name, no signal handlers, locale untouched.
int run_command_line(const std::vector<std::string>& arguments, Terminal& terminal,
                     std::stop_token stop);

}  // namespace sevenfold::cli
