#include "cli/command_tree.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/version.h"
#include "config/suggest.h"

namespace sevenfold::cli {

namespace {

std::string indented(const std::string& text) {
    std::string out = "  ";
    for (char c : text) {
        out += c;
        if (c == '\n') out += "  ";
    }
    return out;
}

// The command that was named on the command line, as deep as it was recognised.
const CLI::App& chosen(const CLI::App& root) {
    const CLI::App* app = &root;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
    return *app;
}

std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* sub : app.get_subcommands({}))
        if (!hidden(*sub)) names.push_back(sub->get_name());
    return names;
}

// Long options that are valid for a command: its own and those of the commands above it.
std::vector<std::string> long_options(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* level = &app; level != nullptr; level = level->get_parent())
        for (const CLI::Option* option : level->get_options())
            for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    return names;
}

std::string see_help(const CLI::App& app) {
    return fmt::format("See `{} --help`.", full_name(app));
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& names,
                         const CLI::App& app) {
    auto near = config::nearest(word, names);
    if (!near) return see_help(app);
    return fmt::format("Did you mean `{}`? {}", *near, see_help(app));
}

// What CLI11 did not understand, in our words. Options come first: a misspelt one also leaves its
// value behind.
Error unexpected(const CLI::App& app, const std::vector<std::string>& rest) {
    auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& word) {
        return word.size() > 1 && word[0] == '-' && word != "--";
    });
    if (option != rest.end()) {
        std::string word = option->substr(0, option->find('='));
        return Error(ErrorKind::usage, fmt::format("unknown option {}", word),
                     did_you_mean(word, long_options(app), app));
    }
    std::vector<std::string> names = command_names(app);
    if (!names.empty())
        return Error(ErrorKind::usage, fmt::format("unknown command '{}'", rest[0]),
                     did_you_mean(rest[0], names, app));
    return Error(ErrorKind::usage, fmt::format("unexpected argument '{}'", rest[0]), see_help(app));
}

Error usage_error(const CLI::App& root, const CLI::ParseError& error) {
    const CLI::App& app = chosen(root);
    std::vector<std::string> rest = root.remaining(true);
    std::erase(rest, "--");
    bool odd_option = std::any_of(rest.begin(), rest.end(),
                                  [](const std::string& word) { return word.starts_with("-"); });
    if (!rest.empty() &&
        (odd_option || error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)))
        return unexpected(app, rest);
    std::string message = error.what();
    if (!message.empty() && message[0] >= 'A' && message[0] <= 'Z') message[0] += 'a' - 'A';
    while (!message.empty() && (message.back() == '.' || message.back() == '\n'))
        message.pop_back();
    return Error(ErrorKind::usage, message, see_help(app));
}

Action show(std::string text, int code) {
    return [text = std::move(text), code](Context& context) {
        context.terminal().print(text);
        context.terminal().json(JsonObject().set("type", "text").set("text", text));
        return code;
    };
}

}  // namespace

Command& Command::flag(const std::string& names, bool& into, const std::string& help) {
    app_->add_flag(names, into, help);
    return *this;
}

Command& Command::counted_flag(const std::string& names, int& into, const std::string& help) {
    app_->add_flag(names, into, help);
    return *this;
}

Command& Command::option(const std::string& names, std::string& into, const std::string& value,
                         const std::string& help) {
    app_->add_option(names, into, help)->type_name(value);
    return *this;
}

Command& Command::option(const std::string& names, int64_t& into, const std::string& value,
                         const std::string& help) {
    app_->add_option(names, into, help)->type_name(value);
    return *this;
}

Command& Command::option(const std::string& names, uint64_t& into, const std::string& value,
                         const std::string& help) {
    app_->add_option(names, into, help)->type_name(value);
    return *this;
}

Command& Command::option(const std::string& names, double& into, const std::string& value,
                         const std::string& help) {
    app_->add_option(names, into, help)->type_name(value);
    return *this;
}

Command& Command::option(const std::string& names, std::vector<std::string>& into,
                         const std::string& value, const std::string& help) {
    // By default CLI11 lets such an option swallow all words that follow.
    app_->add_option(names, into, help)->type_name(value)->allow_extra_args(false);
    return *this;
}

Command& Command::argument(const std::string& name, std::string& into, const std::string& help,
                           bool required) {
    app_->add_option(name, into, help)->required(required);
    return *this;
}

Command& Command::arguments(const std::string& name, std::vector<std::string>& into,
                            const std::string& help, int least) {
    CLI::Option* option = app_->add_option(name, into, help);
    if (least > 0) option->required()->expected(least, CLI::detail::expected_max_vector_size);
    return *this;
}

void Command::run(Action action) { (*actions_)[app_] = std::move(action); }

Command CommandTree::command(const std::string& name, const std::string& help,
                             const std::string& examples) {
    CLI::App* app = app_->add_subcommand(name, help);
    if (!examples.empty()) app->footer("Examples:\n" + indented(examples));
    return Command(*app, *actions_);
}

Command CommandTree::hidden_command(const std::string& name, const std::string& help) {
    CLI::App* app = app_->add_subcommand(name, help);
    app->group("");
    return Command(*app, *actions_);
}

CommandTree CommandTree::group(const std::string& name, const std::string& help,
                               const std::string& examples) {
    CLI::App* app = app_->add_subcommand(name, help);
    app->footer("Examples:\n" + indented(examples));
    app->require_subcommand(0, 1);
    return CommandTree(*app, *actions_);
}

struct CommandLine::Impl {
    CLI::App root{"Keeps an application's data in several places and proves that it comes back.",
                  "sevenfold"};
    ActionTable actions;
    bool version = false;
};

CommandLine::CommandLine(GlobalOptions& global) : impl_(std::make_unique<Impl>()) {
    CLI::App& root = impl_->root;
    root.formatter_fn(
        [](const CLI::App* app, std::string, CLI::AppFormatMode) { return help_text(*app); });
    root.fallthrough();
    root.require_subcommand(0, 1);
    root.set_help_flag("-h,--help", "show this help");
    CommandTree tree(root, impl_->actions);
    tree.shared_options()
        .option("-c,--config", global.config_file, "FILE",
                "configuration (default: $SEVENFOLD_CONFIG, ./sevenfold.toml, "
                "/etc/sevenfold/sevenfold.toml)")
        .flag("--json", global.terminal.json, "print one JSON object a line")
        .flag("-q,--quiet", global.terminal.quiet, "print results and errors only")
        .counted_flag("-v,--verbose", global.terminal.verbosity, "say more; twice: say everything")
        .flag("--no-color", global.terminal.no_color, "no colours (as NO_COLOR does)")
        .flag("--version", impl_->version, "show the version; with -v also what it is made of");
    root.footer(
        "Examples:\n"
        "  sevenfold init                     set up: configuration, passwords, repositories\n"
        "  sevenfold backup                   save every source in every place\n"
        "  sevenfold status                   is everything in two places?\n"
        "  sevenfold restore uploads --target /tmp/uploads");
    add_commands(tree);
}

CommandLine::~CommandLine() = default;

const CLI::App& CommandLine::root() const { return impl_->root; }

Action CommandLine::parse(const std::vector<std::string>& arguments) {
    CLI::App& root = impl_->root;
    try {
        // CLI11 takes the words in reverse.
        root.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::CallForHelp&) {
        return show(help_text(chosen(root)), 0);
    } catch (const CLI::ParseError& error) {
        throw usage_error(root, error);
    }
    if (impl_->version) return [](Context& context) { return show_version(context); };
    const CLI::App& command = chosen(root);
    auto found = impl_->actions.find(&command);
    if (found != impl_->actions.end()) return found->second;
    if (&command == &root) return show(help_text(root), exit_code(ErrorKind::usage));
    throw Error(
        ErrorKind::usage, fmt::format("`{}` needs a command", full_name(command)),
        fmt::format("One of: {}. {}", fmt::join(command_names(command), ", "), see_help(command)));
}

}  // namespace sevenfold::cli
