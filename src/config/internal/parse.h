// From TOML to sections: the half of loading that knows toml++.
#pragma once

#include <string_view>

#include "config/config.h"
#include "config/option_table.h"

namespace sevenfold::config::internal {

// Fills `into.loaded` from the text and adds a problem for everything that does not fit the table.
void parse_document(std::string_view toml, const Environment& environment, Inspection& into);

// The checks across options, and everything made absolute (validate.cc). `folder` is absolute.
void validate(const std::string& folder, const Environment& environment, Inspection& inspection);

void add_problem(Inspection& inspection, int line, std::string text, std::string hint = {});
void add_warning(Inspection& inspection, int line, std::string text, std::string hint = {});

// Where an option was set: its line, or that of its section.
int line_of(const Inspection& inspection, std::string_view section, std::string_view key,
            int otherwise);

}  // namespace sevenfold::config::internal
