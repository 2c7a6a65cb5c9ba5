// The one table of options. Level of detail: what a person needs to write the file.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace sevenfold::config {

enum class OptionType {
    text,
    text_list,
    boolean,
    count,
    counter,
    duration,
    span,
    size,
    schedule,
    by_kind,
    percent
};
// "a duration (\"15m\", \"1h\", \"14d\")": what is expected, for messages and the manual.
std::string_view describe(OptionType type);
// "duration", for tables.
std::string_view short_name(OptionType type);

// A parsed value: text (text, span, schedule; by_kind as "a=x,b=y" or one word), list, bool, number
// (count, counter, size), duration.
using Value =
    std::variant<std::string, std::vector<std::string>, bool, int64_t, std::chrono::nanoseconds>;
// As TOML writes it.
std::string to_toml(OptionType type, const Value& value);

struct Option {
    std::string_view section;
    std::string_view key;
    OptionType type;
    std::string_view default_value;  // TOML; empty: none
    std::string_view unit;           // "bytes a second"; empty: none
    std::string_view env;            // overrides the file; empty: none
    bool required;
    std::string_view allowed;  // "a|b|c"; empty: anything of the type
    std::string_view example;  // TOML
    std::string_view help;     // one or more sentences without final full stop
    void (*assign)(void* section_struct, const Value& value);
};

struct Section {
    std::string_view name;
    bool repeated;             // [[name]]
    std::string_view parent;   // a table inside that section; empty: top level
    std::string_view help;     // a sentence
    std::string_view not_yet;  // "databases": known, but for a later version
};

std::span<const Section> sections();
const Section* find_section(std::string_view name);
std::span<const Option> all_options();
// In the table's order.
std::vector<const Option*> options_of(std::string_view section);

}  // namespace sevenfold::config
