// Texts made from the option table: the commented configuration file and the manual page.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace sevenfold::config {

// Values for one section of a new file, in TOML: {"name", "\"main\""}.
struct SectionValues {
    std::string section;
    std::vector<std::pair<std::string, std::string>> values;
};

// A commented configuration file: given values are set, all other options stand there as comments
// with an example. Sections appear in the table's order; one that is not given appears as a
// comment.
std::string write_config(const std::vector<SectionValues>& sections);

// A text as TOML writes it.
std::string toml_quote(std::string_view text);
std::string toml_list(const std::vector<std::string>& texts);

// A complete example: what `sevenfold config sample` prints.
std::string sample_config();

// docs/manual/configuration.md.
std::string manual_page();

}  // namespace sevenfold::config
