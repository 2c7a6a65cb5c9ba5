#include "database/mariadb/source/internal/session.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "core/log.h"
#include "core/time.h"
#include "database/mariadb/source/wire.h"

namespace sevenfold::database::mariadb::source {
namespace {

constexpr size_t kMaxVariables = 100;
constexpr uint16_t kUnknownVariable = 1193, kNotSupported = 1235;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n;";
    size_t begin = text.find_first_not_of(kSpace);
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// "'a''b'" without its quotes; other text as it is.
std::string unquoted(std::string_view text) {
    if (text.size() < 2 || (text[0] != '\'' && text[0] != '"') || text.back() != text[0])
        return std::string(text);
    std::string out;
    for (size_t i = 1; i + 1 < text.size(); ++i) {
        if ((text[i] == '\\' || text[i] == text[0]) && i + 2 < text.size()) ++i;
        out += text[i];
    }
    return out;
}

// Up to the next comma that is not quoted.
std::string_view take_item(std::string_view& text) {
    char quote = '\0';
    size_t i = 0;
    for (; i < text.size(); ++i) {
        if (quote != '\0') {
            if (text[i] == quote) quote = '\0';
        } else if (text[i] == '\'' || text[i] == '"') {
            quote = text[i];
        } else if (text[i] == ',') {
            break;
        }
    }
    std::string_view item = text.substr(0, i);
    text.remove_prefix(std::min(text.size(), i + 1));
    return trimmed(item);
}

bool strip_word(std::string_view& text, std::string_view word) {
    if (text.size() <= word.size() || lower(text.substr(0, word.size())) != word) return false;
    char next = text[word.size()];
    if (next != ' ' && next != '\t' && next != '\n') return false;
    text = trimmed(text.substr(word.size()));
    return true;
}

}  // namespace

std::string_view Session::variable(std::string_view name) const {
    auto it = variables_.find(name);
    return it == variables_.end() ? std::string_view() : it->second;
}

uint64_t Session::number(std::string_view name) const {
    std::string_view text = variable(name);
    uint64_t value = 0;
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failed == std::errc() ? value : 0;
}

std::vector<Bytes> Session::set(std::string_view assignments) {
    while (!assignments.empty()) {
        std::string_view item = take_item(assignments);
        size_t equals = item.find('=');
        if (item.empty() || item[0] != '@' || item.substr(0, 2) == "@@" || equals == item.npos)
            continue;  // of the session; nothing depends on it here
        std::string_view name = item.substr(1, equals - 1);
        if (!name.empty() && name.back() == ':') name.remove_suffix(1);
        std::string value = unquoted(trimmed(item.substr(equals + 1)));
        if (lower(value) == "@@global.binlog_checksum") value = "CRC32";
        if (variables_.size() >= kMaxVariables)
            return {error_packet(kNotSupported, "too many variables")};
        variables_[lower(trimmed(name))] = std::move(value);
    }
    return {ok_packet()};
}

std::vector<Bytes> Session::select(std::string_view expression) {
    std::string key = lower(expression);
    std::optional<std::string> value;
    if (key == "unix_timestamp()") {
        value = fmt::to_string(Clock::system().now().seconds);
    } else if (key == "@@global.server_id") {
        value = fmt::to_string(server_id_);
    } else if (key == "@@global.gtid_domain_id") {
        value = "0";
    } else if (key == "version()" || key == "@@version" || key == "@@global.version") {
        value = version_;
    } else if (key == "@@global.rpl_semi_sync_master_enabled") {
        value = "0";
    } else if (key == "@@global.binlog_checksum") {
        value = "CRC32";
    } else if (key == "@@global.collation_server") {
        value = "utf8mb4_general_ci";
    } else if (key == "@@global.time_zone") {
        value = "+00:00";
    } else if (key == "1") {
        value = "1";
    } else if (key.starts_with("@@")) {
        log_debug("replication source: unknown variable {}", printable(expression));
        return {error_packet(kUnknownVariable, "unknown system variable")};
    } else if (key.starts_with("@")) {
        if (auto it = variables_.find(std::string_view(key).substr(1)); it != variables_.end())
            value = it->second;
    } else {
        log_debug("replication source: no answer to SELECT {}", printable(expression));
    }
    return result_set({std::string(expression.substr(0, 256))}, {value});
}

std::vector<Bytes> Session::answer(std::string_view statement) {
    std::string_view rest = trimmed(statement);
    if (strip_word(rest, "set")) return set(rest);
    if (strip_word(rest, "select")) return select(rest);
    if (strip_word(rest, "show")) {
        log_debug("replication source: nothing to SHOW {}", printable(rest));
        return result_set({"Variable_name", "Value"}, {});
    }
    log_debug("replication source: unknown statement {}", printable(rest.substr(0, 200)));
    return {error_packet(kNotSupported, "this server only serves replicas")};
}

}  // namespace sevenfold::database::mariadb::source
