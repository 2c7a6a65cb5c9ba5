// Where something stands in the received log, and how its files are ordered and named.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sevenfold::database::mariadb {

struct LogPosition {
    std::string incarnation, file;
    uint64_t offset = 0;
    bool operator==(const LogPosition&) const = default;
    std::string display() const;  // "0001-server17-…/bin.000017:4711"
};
// In the order in which the server wrote: by the incarnation's number, the file's number, the
// offset.
bool operator<(const LogPosition& a, const LogPosition& b);
inline bool operator<=(const LogPosition& a, const LogPosition& b) { return !(b < a); }

// The number at the end of "bin.000017"; nothing without one.
std::optional<uint64_t> file_number(std::string_view file);
// Whether a server writes `next` after `file`.
bool follows(std::string_view file, std::string_view next);
// By number: "bin.999999" is before "bin.1000000".
bool file_before(std::string_view a, std::string_view b);

// "0001-server17-20261125T071500Z"; `created` is the time in the format description.
std::string incarnation_name(unsigned number, uint32_t server_id, uint32_t created);
unsigned incarnation_number(std::string_view incarnation);  // 0: not one of ours
uint32_t incarnation_server(std::string_view incarnation);  // the id in it; 0: not one of ours

}  // namespace sevenfold::database::mariadb
