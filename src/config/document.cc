#include "config/document.h"

#include <fmt/format.h>

#include "config/option_table.h"

namespace sevenfold::config {
namespace {

// Comment lines of at most 100 columns.
std::string comment(std::string_view text, const std::string& indent = "") {
    std::string out, line = indent + "#";
    size_t start = 0;
    while (start < text.size()) {
        size_t end = std::min(text.find(' ', start), text.size());
        std::string_view word = text.substr(start, end - start);
        if (line.size() + 1 + word.size() > 98) {
            out += line + "\n";
            line = indent + "#";
        }
        line += ' ';
        line += word;
        start = end + 1;
    }
    return out + line + "\n";
}

std::string header(const Section& section) {
    return section.repeated ? fmt::format("[[{}]]", section.name)
                            : fmt::format("[{}]", section.name);
}

const std::string* value_of(const SectionValues& given, std::string_view key) {
    for (const auto& [name, value] : given.values)
        if (name == key) return &value;
    return nullptr;
}

// The keep table as one commented inline example.
void append_nested(std::string& out, const Section& section, const SectionValues& given) {
    for (const Section& nested : sections()) {
        if (nested.parent != section.name) continue;
        out += comment(nested.help);
        if (const std::string* value = value_of(given, nested.name))
            out += fmt::format("{} = {}\n", nested.name, *value);
        else
            out += fmt::format(
                "# {} = {{ last = 4, hourly = 48, daily = 30, weekly = 8, "
                "monthly = 12 }}\n",
                nested.name);
    }
}

// What is set stands first, so that the reader sees it; the possibilities follow.
void append_section(std::string& out, const Section& section, const SectionValues& given) {
    out += header(section) + "\n";
    for (const Option* option : options_of(section.name))
        if (const std::string* value = value_of(given, option->key)) {
            out += comment(std::string(option->help) + ".");
            out += fmt::format("{} = {}\n", option->key, *value);
        }
    for (const Option* option : options_of(section.name)) {
        if (value_of(given, option->key) != nullptr) continue;
        out += comment(std::string(option->help) + ".");
        out += fmt::format("# {} = {}\n", option->key, option->example);
    }
    append_nested(out, section, given);
}

std::string cell(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '|') out += '\\';
        out += c;
    }
    return out;
}

std::string default_of(const Option& option) {
    if (option.required) return "required";
    if (option.default_value.empty()) return "";
    return fmt::format("`{}`", option.default_value);
}

void append_manual(std::string& out, const Section& section) {
    std::string title = section.parent.empty()
                            ? header(section)
                            : fmt::format("{} in [[{}]]", section.name, section.parent);
    out += fmt::format("\n## {}\n\n{}\n\n", title, section.help);
    out += "| key | type | default | meaning |\n|---|---|---|---|\n";
    for (const Option* option : options_of(section.name)) {
        std::string help = fmt::format("{}.", option->help);
        if (!option->unit.empty()) help += fmt::format(" Unit: {}.", option->unit);
        if (!option->allowed.empty()) {
            help += " One of";
            std::string_view rest = option->allowed;
            while (!rest.empty()) {
                size_t bar = std::min(rest.find('|'), rest.size());
                help += fmt::format(" `{}`", rest.substr(0, bar));
                rest.remove_prefix(std::min(bar + 1, rest.size()));
            }
            help += ".";
        }
        help += fmt::format(" Example: `{}`.", option->example);
        if (!option->env.empty()) help += fmt::format(" Environment: `{}`.", option->env);
        out += fmt::format("| `{}` | {} | {} | {} |\n", option->key, short_name(option->type),
                           cell(default_of(*option)), cell(help));
    }
}

constexpr std::string_view kManualHead = R"(# Configuration

<!-- Made from the option table by `sevenfold config manual`; a test compares the two. -->

One TOML file says what is protected, where to, and how often. It is looked for in this order:
`-c FILE`, the environment variable `SEVENFOLD_CONFIG`, `./sevenfold.toml`,
`/etc/sevenfold/sevenfold.toml`. `sevenfold init` writes one with comments; `sevenfold config show`
prints every effective value and where it came from; `sevenfold config check` reports everything that
is wrong with it.

An unknown key, a wrong type or an impossible combination is refused with the file, the line and the
nearest valid key, with exit code 2, before anything is touched. Refused are also: a place inside a
source or a source inside a place (symbolic links are followed), two places that are the same
repository, names that are used twice, places that are not declared.

The file holds no passwords: each place names a file (`password_file`) or a command
(`password_command`), or its password is in the environment variable `SEVENFOLD_PASSWORD_<NAME>`, with
the place's name in capitals and `_` for every other character.

Relative paths start at the configuration's folder; `~/` is the home folder.

| type | how it is written |
|---|---|
)";

}  // namespace

std::string toml_quote(std::string_view text) {
    return to_toml(OptionType::text, Value(std::string(text)));
}
std::string toml_list(const std::vector<std::string>& texts) {
    return to_toml(OptionType::text_list, Value(texts));
}

std::string write_config(const std::vector<SectionValues>& given) {
    std::string out =
        "# Sevenfold's configuration. `sevenfold config check` tells whether it is right,\n"
        "# `sevenfold config show` what is in effect. Every option is described in the manual.\n";
    for (const Section& section : sections()) {
        if (!section.parent.empty() || !section.not_yet.empty()) continue;
        out += "\n" + comment(section.help);
        bool any = false;
        for (const SectionValues& values : given) {
            if (values.section != section.name) continue;
            if (any) out += "\n";
            append_section(out, section, values);
            any = true;
        }
        if (any) continue;
        // All of it as comments, so that nothing takes effect.
        std::string empty;
        append_section(empty, section, {});
        out += "# " + empty;
    }
    return out;
}

std::string sample_config() {
    return write_config({
        {"app", {{"name", "\"shop\""}, {"team", "[\"dev1@example.com\", \"dev2@example.com\"]"}}},
        {"place",
         {{"name", "\"main\""},
          {"url", "\"/srv/backup/shop\""},
          {"domain", "\"office\""},
          {"password_file", "\"secrets/main.password\""}}},
        {"place",
         {{"name", "\"offsite\""},
          {"url", "\"sftp:backup@vault.example.net:/srv/shop\""},
          {"domain", "\"hetzner\""},
          {"password_file", "\"secrets/offsite.password\""}}},
        {"files",
         {{"name", "\"uploads\""},
          {"path", "\"/srv/shop/uploads\""},
          {"every", "\"15m\""},
          {"exclude", "[\"*.tmp\"]"},
          {"keep", "{ last = 4, hourly = 48, daily = 30, weekly = 8, monthly = 12 }"}}},
        {"database",
         {{"name", "\"main\""},
          {"socket", "\"/run/mysqld/mysqld.sock\""},
          {"user", "\"sevenfold\""},
          {"stream", "true"},
          {"stream_user", "\"sevenfold_stream\""},
          {"stream_second", "\"offsite\""}}},
        {"recovery", {{"rto", "\"3h\""}, {"rpo", "\"1h\""}}},
        {"drill", {{"every", "\"monthly\""}}},
    });
}

std::string manual_page() {
    std::string out(kManualHead);
    for (OptionType type : {OptionType::text, OptionType::text_list, OptionType::boolean,
                            OptionType::count, OptionType::duration, OptionType::span,
                            OptionType::size, OptionType::by_kind, OptionType::percent})
        out += fmt::format("| {} | {} |\n", short_name(type), describe(type));
    out += "| number (in `keep`) | a whole number, 0 or more, or \"all\" |\n";
    for (const Section& section : sections())
        if (section.not_yet.empty()) append_manual(out, section);
    out += "\n## Later versions\n\n";
    for (const Section& section : sections())
        if (!section.not_yet.empty())
            out += fmt::format("`{}`: this version does not {} yet and refuses the section.\n\n",
                               header(section), section.not_yet);
    out += "## A complete example\n\n```toml\n" + sample_config() + "```\n";
    return out;
}

}  // namespace sevenfold::config
