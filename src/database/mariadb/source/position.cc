#include "database/mariadb/source/position.h"

namespace sevenfold::database::mariadb {

Position::Position(const GtidList& list) {
    for (const Gtid& gtid : list.all()) set(gtid);  // the last of a domain comes last
}

std::string Position::display() const {
    std::string out;
    for (const auto& [domain, gtid] : last_) out += (out.empty() ? "" : ",") + gtid.display();
    return out;
}

const Gtid* Position::find(uint32_t domain) const {
    auto it = last_.find(domain);
    return it == last_.end() ? nullptr : &it->second;
}

}  // namespace sevenfold::database::mariadb
