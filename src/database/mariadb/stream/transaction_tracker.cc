#include "database/mariadb/stream/transaction_tracker.h"

#include "database/mariadb/binlog/rows.h"
#include "database/mariadb/binlog/statement.h"

namespace sevenfold::database::mariadb {

void TransactionTracker::begin_file() {
    open_.reset();
    last_.reset();
    last_start_ = boundary_ = 4;
}

bool TransactionTracker::ends(const Event& event) {
    EventType type = event.header.type;
    bool standalone = open_->has(GtidEvent::kStandalone);
    if (is_rows(type))
        return standalone && (decode_rows_head(event).flags & RowsEvent::kStatementEnd) != 0;
    switch (type) {
        case EventType::xid:
        case EventType::xa_prepare:
            return true;
        case EventType::query:
        case EventType::query_compressed:
        case EventType::execute_load_query:
            switch (statement_kind(decode_query(event).statement)) {
                case StatementKind::begin:
                case StatementKind::savepoint:
                    return false;
                case StatementKind::commit:
                case StatementKind::rollback:
                    return true;
                case StatementKind::rows:
                    if (!open_->has(GtidEvent::kDdl)) statement_format_ = true;
                    return standalone;
                default:
                    return standalone;
            }
        default:
            return false;
    }
}

bool TransactionTracker::add(const Event& event, uint64_t offset, uint64_t end) {
    if (event.header.type == EventType::gtid) {
        open_ = decode_gtid(event);
        start_ = offset;
        return false;
    }
    if (!open_) {
        if (event.header.type == EventType::gtid_list && !state_) state_ = decode_gtid_list(event);
        boundary_ = end;
        if (!last_) last_start_ = end;
        return false;
    }
    if (!ends(event)) return false;
    if (!state_) state_.emplace();
    state_->add(open_->gtid);
    last_ = open_->gtid;
    last_start_ = start_;
    boundary_ = end;
    open_.reset();
    return true;
}

}  // namespace sevenfold::database::mariadb
