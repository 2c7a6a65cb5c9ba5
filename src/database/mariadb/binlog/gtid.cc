#include "database/mariadb/binlog/gtid.h"

#include <fmt/format.h>

#include <charconv>

#include "core/error.h"

namespace sevenfold::database::mariadb {
namespace {

template <class Number>
bool take_number(std::string_view& text, Number& out) {
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (failure != std::errc() || end == text.data()) return false;
    text.remove_prefix(end - text.data());
    return true;
}
bool take_dash(std::string_view& text) {
    if (!text.starts_with('-')) return false;
    text.remove_prefix(1);
    return true;
}
std::string_view trimmed(std::string_view text) {
    while (!text.empty() && isspace(static_cast<unsigned char>(text.front())))
        text.remove_prefix(1);
    while (!text.empty() && isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

std::string joined(const std::vector<Gtid>& gtids) {
    std::string out;
    for (const Gtid& gtid : gtids) out += (out.empty() ? "" : ",") + gtid.display();
    return out;
}

}  // namespace

std::string Gtid::display() const { return fmt::format("{}-{}-{}", domain, server_id, sequence); }

Gtid parse_gtid(std::string_view text) {
    Gtid gtid;
    std::string_view rest = trimmed(text);
    if (take_number(rest, gtid.domain) && take_dash(rest) && take_number(rest, gtid.server_id) &&
        take_dash(rest) && take_number(rest, gtid.sequence) && rest.empty())
        return gtid;
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a GTID", text),
                "A GTID of MariaDB is domain-server-sequence: 0-1-42.");
}

void GtidList::add(const Gtid& gtid) {
    Domain& domain = domains_[gtid.domain];
    domain.sequences[gtid.server_id] = gtid.sequence;
    domain.last_server = gtid.server_id;
}

void GtidList::add_all(const GtidList& other) {
    for (const Gtid& gtid : other.all()) add(gtid);
}

bool GtidList::contains(const Gtid& gtid) const {
    auto domain = domains_.find(gtid.domain);
    if (domain == domains_.end()) return false;
    auto server = domain->second.sequences.find(gtid.server_id);
    if (server == domain->second.sequences.end())
        server = domain->second.sequences.find(domain->second.last_server);
    return gtid.sequence <= server->second;
}

bool GtidList::contains_all(const GtidList& other) const {
    for (const Gtid& gtid : other.all())
        if (!contains(gtid)) return false;
    return true;
}

std::optional<Gtid> GtidList::last(uint32_t domain) const {
    auto at = domains_.find(domain);
    if (at == domains_.end()) return std::nullopt;
    uint32_t server = at->second.last_server;
    return Gtid{domain, server, at->second.sequences.at(server)};
}

std::vector<Gtid> GtidList::all() const {
    std::vector<Gtid> out;
    for (const auto& [number, domain] : domains_) {
        for (const auto& [server, sequence] : domain.sequences)
            if (server != domain.last_server) out.push_back({number, server, sequence});
        out.push_back({number, domain.last_server, domain.sequences.at(domain.last_server)});
    }
    return out;
}

std::string GtidList::position() const {
    std::vector<Gtid> lasts;
    for (const auto& [number, domain] : domains_) lasts.push_back(*last(number));
    return joined(lasts);
}
std::string GtidList::state() const { return joined(all()); }

GtidList parse_gtid_list(std::string_view text) {
    GtidList list;
    text = trimmed(text);
    while (!text.empty()) {
        size_t comma = text.find(',');
        list.add(parse_gtid(text.substr(0, comma)));
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
        if (trimmed(text).empty()) parse_gtid(text);  // throws: a comma at the end
    }
    return list;
}

}  // namespace sevenfold::database::mariadb
