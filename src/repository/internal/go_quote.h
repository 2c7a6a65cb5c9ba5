// The two layers that restic puts around a name in a tree: Go's strconv.Quote without the outer
// quotes, so that any bytes become valid UTF-8, and then encoding/json's string.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sevenfold::repository {

// Appends strconv.Quote(text) without its outer quotes.
void append_go_quoted(std::string& out, std::string_view text);

// strconv.Unquote of the text between double quotes; nothing when Go would refuse it.
std::optional<std::string> go_unquote(std::string_view quoted);

}  // namespace sevenfold::repository
