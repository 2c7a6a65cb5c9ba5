#include "database/mariadb/dump/internal/attempt.h"

#include <fmt/format.h>
#include <mysqld_error.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <numeric>

#include "core/parallel.h"
#include "database/mariadb/dump/ranges.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::MariadbConnection;

struct Piece {
    size_t table;
    std::optional<std::string> condition;  // none: the whole table, not cut yet
    std::string path;
};

// What the sessions have to do: whole tables, the largest first, so that no session works alone at
// the end; and the pieces of those that were cut, which go before.
class Work {
  public:
    explicit Work(std::deque<Piece> tables) : queue_(std::move(tables)) {}

    // Waits while a table is being cut that could give more. Nothing: all is handed out.
    std::optional<Piece> next() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopped_ || !queue_.empty() || cutting_ == 0; });
        if (stopped_ || queue_.empty()) return std::nullopt;
        Piece piece = std::move(queue_.front());
        queue_.pop_front();
        if (!piece.condition) ++cutting_;
        return piece;
    }
    // A whole table that next() gave has become these.
    void cut(std::vector<Piece> pieces) {
        std::lock_guard lock(mutex_);
        --cutting_;
        for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece)
            queue_.push_front(std::move(*piece));
        changed_.notify_all();
    }
    void stop() {
        std::lock_guard lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    bool stopped() {
        std::lock_guard lock(mutex_);
        return stopped_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Piece> queue_;
    unsigned cutting_ = 0;
    bool stopped_ = false;
};

class RowReader {
  public:
    explicit RowReader(const ReadRequest& request) : request_(request) {}

    void run(SnapshotSessions& snapshot) {
        std::deque<Piece> locked, tables;
        std::vector<size_t> order(request_.tables.size());
        std::iota(order.begin(), order.end(), 0);
        std::ranges::stable_sort(order, std::greater<>(),
                                 [&](size_t t) { return request_.tables[t].data_length; });
        Progress* progress = request_.options.progress;
        if (progress) progress->bytes_total = progress->bytes_done = progress->items_done = 0;
        for (size_t t : order) {
            const TableInfo& table = request_.tables[t];
            if (table.elsewhere) continue;
            (table.transactional ? tables : locked).push_back({t, std::nullopt, ""});
            if (progress) progress->bytes_total += table.data_length;
        }
        if (progress) progress->items_total = tables.size() + locked.size();
        Work work(std::move(tables)), locked_work(std::move(locked));
        ThreadGroup group;
        group.on_failure([&] {
            work.stop();
            locked_work.stop();
        });
        if (snapshot.locked)
            group.start([&](std::stop_token) {
                read(*snapshot.locked, locked_work);
                snapshot.locked.reset();  // writers go on
            });
        for (auto& session : snapshot.sessions)
            group.start(
                [&, connection = session.get()](std::stop_token) { read(*connection, work); });
        group.wait();
    }

  private:
    void read(MariadbConnection& session, Work& work) {
        prepare_for_rows(session);
        while (auto piece = work.next()) {
            try {
                if (piece->condition)
                    read_piece(session, *piece, work);
                else
                    work.cut(cut(session, piece->table));
            } catch (const sql::ServerError& error) {
                throw_for_table(error, request_.tables[piece->table]);
            }
        }
    }

    std::vector<Piece> cut(MariadbConnection& session, size_t t) {
        const TableInfo& table = request_.tables[t];
        auto conditions = cut_table(table, request_.options.piece_bytes,
                                    [&](const std::string& query) { return session.query(query); });
        const char* ending = request_.options.format == RowFormat::tsv ? "tsv" : "sql";
        std::vector<Piece> pieces;
        for (size_t i = 0; i < conditions.size(); ++i)
            pieces.push_back({t, std::move(conditions[i]),
                              fmt::format("data/{}/{}/{:06}.{}", file_name(table.database),
                                          file_name(table.name), i, ending)});
        for (const Piece& piece : pieces) request_.contents[t].files.push_back(piece.path);
        if (request_.options.progress) request_.options.progress->items_total += pieces.size() - 1;
        return pieces;
    }

    void read_piece(MariadbConnection& session, const Piece& piece, Work& work) {
        const TableInfo& table = request_.tables[piece.table];
        Progress* progress = request_.options.progress;
        if (progress) progress->set_current(table.display());
        auto file = request_.files.create(piece.path);
        uint64_t checksum = 0;
        uint64_t rows = read_rows(session, table, *piece.condition, request_.options.format,
                                  checksum, [&](ByteView bytes) {
                                      if (request_.options.stop.stop_requested() || work.stopped())
                                          throw Error(ErrorKind::interrupted, "interrupted");
                                      file->write(bytes);
                                      if (progress) progress->bytes_done += bytes.size();
                                  });
        file->finish();
        if (progress) ++progress->items_done;
        std::lock_guard lock(mutex_);
        request_.contents[piece.table].rows += rows;
        request_.contents[piece.table].checksum += checksum;
    }

    const ReadRequest& request_;
    std::mutex mutex_;
};

}  // namespace

bool is_change(const sql::ServerError& error) {
    switch (error.number) {
        case ER_TABLE_DEF_CHANGED:
        case ER_NO_SUCH_TABLE:
        case ER_NO_SUCH_TABLE_IN_ENGINE:
        case ER_BAD_TABLE_ERROR:
        case ER_BAD_DB_ERROR:
        case ER_BAD_FIELD_ERROR:
        case ER_SP_DOES_NOT_EXIST:
        case ER_TRG_DOES_NOT_EXIST:
        case ER_EVENT_DOES_NOT_EXIST:
        case ER_LOCK_WAIT_TIMEOUT:  // somebody is changing it now
            return true;
        default:
            return false;
    }
}

void throw_for_table(const sql::ServerError& error, const TableInfo& table) {
    if (!is_change(error)) throw error.with_context("table " + table.display());
    throw ChangedMeanwhile(fmt::format("table {} changed ({})", table.display(), error.message()));
}

std::unique_ptr<repository::TreeWriter::File> BaseFiles::create(const std::string& path) {
    {
        std::lock_guard lock(mutex_);
        paths_.insert(path);
    }
    return tree_.create(path, {});
}

void BaseFiles::add(const std::string& path, ByteView content) {
    auto file = create(path);
    file->write(content);
    file->finish();
}

void BaseFiles::remove_all() {
    std::lock_guard lock(mutex_);
    for (const std::string& path : paths_) tree_.remove(path);
    paths_.clear();
}

void read_all_rows(const ReadRequest& request, SnapshotSessions& snapshot) {
    RowReader(request).run(snapshot);
}

}  // namespace sevenfold::database::mariadb
