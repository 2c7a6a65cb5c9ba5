#include "cli/help.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/utf8.h"

namespace sevenfold::cli {
namespace {

constexpr size_t kWidth = 96;
constexpr size_t kNamesWidth = 30;

// "  names      help", the help broken into lines.
void append_row(std::string& out, const std::string& names, const std::string& help) {
    std::string line = "  " + names;
    size_t column = display_width(line);
    if (column + 2 > kNamesWidth && !help.empty()) {
        out += line + "\n";
        line.clear();
        column = 0;
    }
    line.append(kNamesWidth - std::min(kNamesWidth, column), ' ');
    column = kNamesWidth;
    size_t start = 0;
    bool first = true;
    while (start < help.size()) {
        size_t end = std::min(help.find(' ', start), help.size());
        std::string word = help.substr(start, end - start);
        if (!first && column + 1 + display_width(word) > kWidth) {
            out += line + "\n";
            line.assign(kNamesWidth, ' ');
            column = kNamesWidth;
            first = true;
        }
        if (!first) line += ' ';
        line += word;
        column += display_width(word) + (first ? 0 : 1);
        first = false;
        start = end + 1;
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

std::string value_name(const CLI::Option& option) {
    return option.get_items_expected_max() == 0 ? std::string() : option.get_type_name();
}

void append_options(std::string& out, const CLI::App& app, const char* title, bool positional) {
    std::string rows;
    for (const CLI::Option* option : app.get_options()) {
        if (hidden(*option) || option->get_positional() != positional) continue;
        std::string names = option_names(*option);
        std::string value = value_name(*option);
        if (!positional && !value.empty()) names += " " + value;
        append_row(rows, names, option->get_description());
    }
    if (!rows.empty()) out += fmt::format("\n{}:\n{}", title, rows);
}

std::string usage(const CLI::App& app) {
    std::string line = "Usage: " + full_name(app);
    if (!app.get_subcommands({}).empty()) line += " COMMAND";
    line += " [OPTION…]";
    for (const CLI::Option* option : app.get_options()) {
        if (!option->get_positional() || hidden(*option)) continue;
        std::string name = option_names(*option);
        line += option->get_required() ? " " + name : " [" + name + "]";
    }
    return line;
}

}  // namespace

std::string full_name(const CLI::App& app) {
    const CLI::App* parent = app.get_parent();
    return parent == nullptr ? app.get_name() : full_name(*parent) + " " + app.get_name();
}

std::string option_names(const CLI::Option& option) {
    if (option.get_positional())
        return option.get_name(true) + (option.get_items_expected_max() > 1 ? "…" : "");
    std::string names;
    for (const std::string& name : option.get_snames()) names += "-" + name + ", ";
    for (const std::string& name : option.get_lnames()) names += "--" + name + ", ";
    names.resize(names.size() - std::min<size_t>(2, names.size()));
    return names;
}

bool hidden(const CLI::App& app) { return app.get_group().empty(); }
bool hidden(const CLI::Option& option) { return option.get_group().empty(); }

std::string help_text(const CLI::App& app) {
    std::string out = fmt::format("{}\n\n{}\n", app.get_description(), usage(app));
    std::string commands;
    for (const CLI::App* sub : app.get_subcommands({})) {
        if (hidden(*sub)) continue;
        std::string help = sub->get_description();
        append_row(commands, sub->get_name(), help.substr(0, help.find('\n')));
    }
    if (!commands.empty()) out += "\nCommands:\n" + commands;
    append_options(out, app, "Arguments", true);
    append_options(out, app, "Options", false);
    for (const CLI::App* above = app.get_parent(); above != nullptr; above = above->get_parent()) {
        if (above->get_parent() == nullptr)
            out += "\nGlobal options (see `sevenfold --help`): -c --json -q -v --no-color\n";
        else
            append_options(out, *above, ("Options of " + full_name(*above)).c_str(), false);
    }
    if (!app.get_footer().empty()) out += "\n" + app.get_footer() + "\n";
    out.pop_back();
    return out;
}

}  // namespace sevenfold::cli
