#include "database/mariadb/stream/position.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/time.h"

namespace sevenfold::database::mariadb {

std::string LogPosition::display() const {
    return fmt::format("{}/{}:{}", incarnation, file, offset);
}

bool operator<(const LogPosition& a, const LogPosition& b) {
    if (a.incarnation != b.incarnation) return file_before(a.incarnation, b.incarnation);
    if (a.file != b.file) return file_before(a.file, b.file);
    return a.offset < b.offset;
}

std::optional<uint64_t> file_number(std::string_view file) {
    size_t dot = file.rfind('.');
    if (dot == file.npos) return std::nullopt;
    std::string_view digits = file.substr(dot + 1);
    uint64_t number = 0;
    auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (digits.empty() || failure != std::errc{} || end != digits.data() + digits.size())
        return std::nullopt;
    return number;
}

bool follows(std::string_view file, std::string_view next) {
    auto a = file_number(file), b = file_number(next);
    return a && b && *b == *a + 1 &&
           file.substr(0, file.rfind('.')) == next.substr(0, next.rfind('.'));
}

bool file_before(std::string_view a, std::string_view b) {
    auto x = file_number(a), y = file_number(b);
    if (x && y && *x != *y) return *x < *y;
    return a < b;
}

std::string incarnation_name(unsigned number, uint32_t server_id, uint32_t created) {
    Civil c = civil({.seconds = created});
    return fmt::format("{:04}-server{}-{:04}{:02}{:02}T{:02}{:02}{:02}Z", number, server_id, c.year,
                       c.month, c.day, c.hour, c.minute, c.second);
}

unsigned incarnation_number(std::string_view incarnation) {
    unsigned number = 0;
    const char* begin = incarnation.data();
    auto [end, failure] = std::from_chars(begin, begin + incarnation.size(), number);
    bool named = failure == std::errc{} && end >= begin + 4 &&
                 incarnation.substr(static_cast<size_t>(end - begin)).starts_with("-server");
    return named ? number : 0;
}

uint32_t incarnation_server(std::string_view incarnation) {
    if (incarnation_number(incarnation) == 0) return 0;
    constexpr std::string_view kBefore = "-server";
    std::string_view rest = incarnation.substr(incarnation.find(kBefore) + kBefore.size());
    uint32_t id = 0;
    auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), id);
    return failure == std::errc{} && end != rest.data() ? id : 0;
}

}  // namespace sevenfold::database::mariadb
