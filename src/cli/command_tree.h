// The commands, their options and what they do. Thin over CLI11, whose header takes seconds to
// compile and stays in a few .cc files of this room; commands include only this.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/context.h"

namespace CLI {
class App;
}

namespace sevenfold::cli {

using Action = std::function<int(Context&)>;  // returns the exit code
using ActionTable = std::map<const CLI::App*, Action>;

// Declares one command. The variables that options go into must live as long as the command line:
// usually they lie in a shared Options struct that the action holds, too. Their value before
// parsing is the default.
class Command {
  public:
    Command(CLI::App& app, ActionTable& actions) : app_(&app), actions_(&actions) {}

    // names: "-p,--password-file". `value` names what follows: "FILE", "DIR", "N", "DURATION", …
    // (FILE and DIR are completed by shells).
    Command& flag(const std::string& names, bool& into, const std::string& help);
    Command& counted_flag(const std::string& names, int& into, const std::string& help);
    Command& option(const std::string& names, std::string& into, const std::string& value,
                    const std::string& help);
    Command& option(const std::string& names, int64_t& into, const std::string& value,
                    const std::string& help);
    Command& option(const std::string& names, uint64_t& into, const std::string& value,
                    const std::string& help);
    Command& option(const std::string& names, double& into, const std::string& value,
                    const std::string& help);
    // May be given several times, each time with one value.
    Command& option(const std::string& names, std::vector<std::string>& into,
                    const std::string& value, const std::string& help);

    // Words without dashes, in the order of declaration.
    Command& argument(const std::string& name, std::string& into, const std::string& help,
                      bool required = true);
    // All words that are left; at least `least`.
    Command& arguments(const std::string& name, std::vector<std::string>& into,
                       const std::string& help, int least = 0);

    void run(Action action);
    const CLI::App& app() const { return *app_; }

  private:
    CLI::App* app_;
    ActionTable* actions_;
};

class CommandTree {
  public:
    CommandTree(CLI::App& app, ActionTable& actions) : app_(&app), actions_(&actions) {}

    // A command under this one. `help`: a sentence. `examples`: lines "command    what it does".
    Command command(const std::string& name, const std::string& help, const std::string& examples);
    // As command(), but not shown in lists.
    Command hidden_command(const std::string& name, const std::string& help);
    // A command that has commands itself.
    CommandTree group(const std::string& name, const std::string& help,
                      const std::string& examples);
    // For options of the whole group; they may stand before or after the subcommand.
    Command shared_options() { return Command(*app_, *actions_); }
    const CLI::App& app() const { return *app_; }

  private:
    CLI::App* app_;
    ActionTable* actions_;
};

// Owns the root command with all global options and commands.
class CommandLine {
  public:
    explicit CommandLine(GlobalOptions& global);
    ~CommandLine();
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    // Parses and finds what to do. Throws Error{usage}. --help and --version are actions too.
    Action parse(const std::vector<std::string>& arguments);
    const CLI::App& root() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sevenfold::cli
