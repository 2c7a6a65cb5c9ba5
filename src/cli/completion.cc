#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/help.h"

namespace sevenfold::cli {
namespace {

void for_each_command(const CLI::App& app, const std::function<void(const CLI::App&)>& each) {
    each(app);
    for (const CLI::App* sub : app.get_subcommands({}))
        if (!hidden(*sub)) for_each_command(*sub, each);
}

std::vector<std::string> option_words(const CLI::App& app, bool with_value_only) {
    std::vector<std::string> words;
    for (const CLI::App* level = &app; level != nullptr; level = level->get_parent())
        for (const CLI::Option* option : level->get_options()) {
            if (option->get_positional() || hidden(*option)) continue;
            if (with_value_only && option->get_items_expected_max() == 0) continue;
            // Help is declared anew by every command.
            if (level != &app && option->check_lname("help")) continue;
            for (const std::string& name : option->get_snames()) words.push_back("-" + name);
            for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
        }
    return words;
}

std::vector<std::string> command_words(const CLI::App& app) {
    std::vector<std::string> words;
    for (const CLI::App* sub : app.get_subcommands({}))
        if (!hidden(*sub)) words.push_back(sub->get_name());
    return words;
}

std::string function_name(const CLI::App& app) {
    std::string name = "_" + full_name(app);
    for (char& c : name)
        if (c == ' ' || c == '-') c = '_';
    return name;
}

// For zsh's 'name:help' and '[help]': quotes, brackets and colons mean something there.
std::string zsh_text(std::string_view text) {
    std::string out;
    for (char c : text.substr(0, text.find('\n'))) {
        if (c == '\'')
            out += "'\\''";
        else if (c == '[' || c == ']' || c == ':' || c == '\\')
            (out += '\\') += c;
        else
            out += c;
    }
    return out;
}

std::string zsh_option(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames()) names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
    std::string value;
    if (option.get_items_expected_max() != 0) {
        std::string type = option.get_type_name();
        value = fmt::format(":{}:{}", zsh_text(type), type == "DIR" ? "_files -/" : "_files");
    }
    std::string out;
    for (const std::string& name : names)
        out += fmt::format(" \\\n    '*{}[{}]{}'", name, zsh_text(option.get_description()), value);
    return out;
}

}  // namespace

// One `case` on the words typed so far; options that take a value and plain arguments complete
// file names.
std::string bash_completion(const CLI::App& root) {
    std::string commands, options, values;
    for_each_command(root, [&](const CLI::App& app) {
        std::string path = full_name(app);
        if (!command_words(app).empty())
            commands += fmt::format("        '{}') echo \"{}\";;\n", path,
                                    fmt::join(command_words(app), " "));
        options += fmt::format("        '{}') echo \"{}\";;\n", path,
                               fmt::join(option_words(app, false), " "));
        values += fmt::format("        '{}') echo \"{}\";;\n", path,
                              fmt::join(option_words(app, true), " "));
    });
    return fmt::format(R"sh(# bash completion for sevenfold; made by `sevenfold completion bash`
_sevenfold_commands() {{
    case "$1" in
{}    esac
}}
_sevenfold_options() {{
    case "$1" in
{}    esac
}}
_sevenfold_values() {{
    case "$1" in
{}    esac
}}
_sevenfold() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local at=sevenfold i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case " $(_sevenfold_values "$at") " in
            *" ${{COMP_WORDS[i]}} "*) ((i++)); continue;;
        esac
        case " $(_sevenfold_commands "$at") " in
            *" ${{COMP_WORDS[i]}} "*) at+=" ${{COMP_WORDS[i]}}";;
        esac
    done
    case " $(_sevenfold_values "$at") " in
        *" $before "*) COMPREPLY=($(compgen -f -- "$word")); return;;
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$(_sevenfold_options "$at")" -- "$word"))
    elif [[ -n $(_sevenfold_commands "$at") ]]; then
        COMPREPLY=($(compgen -W "$(_sevenfold_commands "$at")" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -o filenames -F _sevenfold sevenfold
)sh",
                       commands, options, values);
}

// One function a command, in zsh's own _arguments; a group dispatches to its commands' functions.
std::string zsh_completion(const CLI::App& root) {
    std::string out = "#compdef sevenfold\n# made by `sevenfold completion zsh`\n";
    for_each_command(root, [&](const CLI::App& app) {
        std::string arguments;
        for (const CLI::App* level = &app; level != nullptr; level = level->get_parent())
            for (const CLI::Option* option : level->get_options())
                if (!option->get_positional() && !hidden(*option) &&
                    (level == &app || !option->check_lname("help")))
                    arguments += zsh_option(*option);
        std::string name = function_name(app);
        std::string described, dispatch;
        for (const CLI::App* sub : app.get_subcommands({})) {
            if (hidden(*sub)) continue;
            described += fmt::format(" '{}:{}'", sub->get_name(), zsh_text(sub->get_description()));
            dispatch += fmt::format("      {}) {};;\n", sub->get_name(), function_name(*sub));
        }
        if (dispatch.empty()) {
            out += fmt::format("{}() {{\n  _arguments -s{} \\\n    '*:file:_files'\n}}\n", name,
                               arguments);
            return;
        }
        out += fmt::format(
            "{0}() {{\n  local context state state_descr line\n  typeset -A opt_args\n"
            "  local -a commands=({1})\n"
            "  _arguments -s -C{2} \\\n    '1:command:->command' '*::argument:->argument'\n"
            "  case $state in\n    command) _describe command commands;;\n"
            "    argument) case $words[1] in\n{3}    esac;;\n  esac\n}}\n",
            name, described, arguments, dispatch);
    });
    return out + "compdef _sevenfold sevenfold\n";
}

}  // namespace sevenfold::cli
