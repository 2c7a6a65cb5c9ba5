// The end of what a program said, for an error message.
#pragma once

#include <string>
#include <string_view>

namespace sevenfold::database::mariadb {

// The last lines on one line, safe for a terminal, without the times that MariaDB's programs put
// before them; lines that are marked as errors if there are any.
std::string last_lines(std::string_view text, size_t count = 4);

}  // namespace sevenfold::database::mariadb
