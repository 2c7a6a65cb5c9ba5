#include "cli/cli.h"

#include <sys/resource.h>

#include "cli/command_tree.h"
#include "cli/interrupt.h"
#include "cli/utf8.h"

namespace sevenfold::cli {
namespace {

// After Ctrl-C whatever a command failed with is a consequence of it.
Error as_interrupted(const Error& error, const std::stop_token& stop) {
    if (!stop.stop_requested() || error.kind() == ErrorKind::interrupted) return error;
    return Error(ErrorKind::interrupted, "interrupted: " + error.message());
}

// The command line may be wrong, but whether its errors shall be JSON can still be seen.
TerminalOptions guess_options(const std::vector<std::string>& arguments) {
    TerminalOptions options;
    for (const std::string& argument : arguments) {
        if (argument == "--") break;
        if (argument == "--json") options.json = true;
        if (argument == "--no-color") options.no_color = true;
    }
    return options;
}

}  // namespace

int run_command_line(const std::vector<std::string>& arguments, Terminal& terminal,
                     std::stop_token stop) {
    try {
        Context context(terminal, stop);
        terminal.set_options(guess_options(arguments));
        CommandLine line(context.global());
        Action action = line.parse(arguments);
        terminal.set_options(context.global().terminal);
        return action(context);
    } catch (...) {
        Error error = as_interrupted(current_error(), stop);
        terminal.error(error);
        return exit_code(error.kind());
    }
}

int sevenfold_main(int argc, char** argv) {
    // Memory holds passwords and keys: no core file may keep them.
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    set_up_character_widths();
    Terminal terminal;
    try {
        Interrupts interrupts;
        std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
        return run_command_line(arguments, terminal, interrupts.token());
    } catch (...) {
        Error error = current_error();
        terminal.error(error);
        return exit_code(error.kind());
    }
}

}  // namespace sevenfold::cli
