#include "sql/mariadb.h"

#include <errmsg.h>
#include <fmt/format.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <mutex>

namespace sevenfold::sql {
namespace {

ErrorKind kind_of(unsigned number) {
    switch (number) {
        case CR_CONNECTION_ERROR:
        case CR_CONN_HOST_ERROR:
        case CR_UNKNOWN_HOST:
        case CR_SERVER_GONE_ERROR:
        case CR_SERVER_LOST:
        case CR_SERVER_HANDSHAKE_ERR:
        case CR_SSL_CONNECTION_ERROR:
        case ER_SERVER_SHUTDOWN:
        case ER_CONNECTION_KILLED:
        case ER_CON_COUNT_ERROR:
            return ErrorKind::network;
        case ER_ACCESS_DENIED_ERROR:
        case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
        case ER_DBACCESS_DENIED_ERROR:
        case ER_TABLEACCESS_DENIED_ERROR:
        case ER_COLUMNACCESS_DENIED_ERROR:
        case ER_SPECIFIC_ACCESS_DENIED_ERROR:
        case ER_PROCACCESS_DENIED_ERROR:
        case ER_HOST_NOT_PRIVILEGED:
        case ER_KILL_DENIED_ERROR:
            return ErrorKind::permission;
        case ER_NO_SUCH_TABLE:
        case ER_BAD_DB_ERROR:
        case ER_SP_DOES_NOT_EXIST:
            return ErrorKind::not_found;
        case ER_LOCK_WAIT_TIMEOUT:
        case ER_LOCK_DEADLOCK:
        case ER_STATEMENT_TIMEOUT:
            return ErrorKind::timeout;
        case ER_DISK_FULL:
        case ER_RECORD_FILE_FULL:
            return ErrorKind::no_space;
        default:
            return ErrorKind::io;
    }
}

std::string hint_of(unsigned number) {
    switch (number) {
        case CR_CONNECTION_ERROR:
        case CR_CONN_HOST_ERROR:
            return "Is the database server running, and is its address right?";
        case ER_ACCESS_DENIED_ERROR:
        case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
            return "Check user and password; `sevenfold db grants` prints the account it needs.";
        case ER_DBACCESS_DENIED_ERROR:
        case ER_TABLEACCESS_DENIED_ERROR:
        case ER_COLUMNACCESS_DENIED_ERROR:
        case ER_SPECIFIC_ACCESS_DENIED_ERROR:
        case ER_PROCACCESS_DENIED_ERROR:
            return "`sevenfold db grants` prints the rights that are needed and tests them.";
        default:
            return {};
    }
}

void set_option(MYSQL* handle, mysql_option option, const void* value) {
    if (mysql_options(handle, option, value) != 0)
        throw Error(ErrorKind::internal, fmt::format("mysql_options {} refused", int(option)));
}

// Connector/C's callbacks around one load_local; an exception is carried over them.
struct LocalFile {
    const std::function<size_t(char*, size_t)>* fill;
    std::exception_ptr failure;
};
int local_init(void** pointer, const char*, void* user) {
    *pointer = user;
    return 0;
}
int local_read(void* pointer, char* to, unsigned int size) {
    auto* file = static_cast<LocalFile*>(pointer);
    try {
        return static_cast<int>((*file->fill)(to, size));
    } catch (...) {
        file->failure = std::current_exception();
        return -1;
    }
}
void local_end(void*) {}
int local_error(void* pointer, char* text, unsigned int size) {
    auto* file = static_cast<LocalFile*>(pointer);
    std::string_view message = file != nullptr && file->failure ? "the sender failed" : "refused";
    fmt::format_to_n(text, size, "{}", message).out[0] = '\0';
    return CR_UNKNOWN_ERROR;
}

// A result that is read to its end or abandoned.
struct Result {
    explicit Result(MYSQL_RES* r) : result(r) {}
    ~Result() {
        if (result != nullptr) mysql_free_result(result);
    }
    Result(const Result&) = delete;
    Result& operator=(const Result&) = delete;
    MYSQL_RES* result;
};

}  // namespace

std::string MariadbOptions::display() const {
    if (!host.empty()) return fmt::format("{}:{}", host, port);
    return socket.empty() ? "the default socket" : "socket " + socket;
}

MariadbConnection::MariadbConnection(const MariadbOptions& options) : options_(options) {
    static std::once_flag once;  // not thread-safe by itself
    std::call_once(once, [] { mysql_library_init(0, nullptr, nullptr); });
    handle_ = mysql_init(nullptr);
    if (handle_ == nullptr) throw Error(ErrorKind::internal, "no memory for a connection");
    auto seconds = static_cast<unsigned>(options.connect_timeout.count());
    set_option(handle_, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    if (auto io = static_cast<unsigned>(options.io_timeout.count()); io != 0) {
        set_option(handle_, MYSQL_OPT_READ_TIMEOUT, &io);
        set_option(handle_, MYSQL_OPT_WRITE_TIMEOUT, &io);
    }
    set_option(handle_, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    unsigned protocol = options.host.empty() ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    set_option(handle_, MYSQL_OPT_PROTOCOL, &protocol);
    unsigned local = 1;  // answered by our own callbacks only, see load_local
    set_option(handle_, MYSQL_OPT_LOCAL_INFILE, &local);
    mysql_set_local_infile_handler(
        handle_, [](void**, const char*, void*) { return 1; },  // nothing is ever sent unasked
        local_read, local_end, local_error, nullptr);
    mysql_options4(handle_, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", options.program.c_str());
    if (options.tls != MariadbOptions::Tls::off) {
        my_bool on = 1, verify = options.tls == MariadbOptions::Tls::verified;
        set_option(handle_, MYSQL_OPT_SSL_ENFORCE, &on);
        set_option(handle_, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
        if (!options.tls_ca.empty()) set_option(handle_, MYSQL_OPT_SSL_CA, options.tls_ca.c_str());
    }
    std::string password(options.password.reveal());
    bool connected =
        mysql_real_connect(handle_, options.host.empty() ? nullptr : options.host.c_str(),
                           options.user.empty() ? nullptr : options.user.c_str(), password.c_str(),
                           options.database.empty() ? nullptr : options.database.c_str(),
                           options.host.empty() ? 0 : options.port,
                           options.socket.empty() ? nullptr : options.socket.c_str(),
                           CLIENT_MULTI_RESULTS) != nullptr;
    wipe(password.data(), password.size());
    try {
        if (!connected) throw_last_error("connect to " + options.display());
        execute(
            "SET SESSION time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO', "
            "sql_select_limit=18446744073709551615, "
            "net_write_timeout=3600, net_read_timeout=3600, wait_timeout=28800");
    } catch (...) {
        mysql_close(handle_);
        throw;
    }
}

MariadbConnection::~MariadbConnection() { mysql_close(handle_); }

void MariadbConnection::throw_last_error(std::string_view what) const {
    unsigned number = mysql_errno(handle_);
    throw ServerError(kind_of(number),
                      fmt::format("{}: {} (error {})", what, mysql_error(handle_), number),
                      hint_of(number), number);
}

void MariadbConnection::run(std::string_view statement) {
    if (mysql_real_query(handle_, statement.data(), statement.size()) != 0) {
        std::string_view start = statement.substr(0, 200);
        throw_last_error(fmt::format("{}{}", start, start.size() < statement.size() ? "…" : ""));
    }
}

uint64_t MariadbConnection::execute(std::string_view statement) {
    run(statement);
    uint64_t affected = 0;
    for (;;) {
        if (Result result(mysql_use_result(handle_)); result.result != nullptr) {
            while (mysql_fetch_row(result.result) != nullptr) {
            }
        } else if (mysql_field_count(handle_) == 0) {
            affected = mysql_affected_rows(handle_);
        }
        if (mysql_errno(handle_) != 0) throw_last_error(statement.substr(0, 200));
        int next = mysql_next_result(handle_);
        if (next > 0) throw_last_error(statement.substr(0, 200));
        if (next < 0) return affected;
    }
}

std::vector<uint64_t> MariadbConnection::execute_all(std::span<const std::string> statements) {
    if (statements.empty()) return {};
    std::string together;
    for (const std::string& statement : statements)
        together += (together.empty() ? "" : ";\n") + statement;
    // Only meanwhile: elsewhere a second statement in a text is one too many.
    auto allow = [&](enum_mysql_set_option option) {
        return mysql_set_server_option(handle_, option) == 0;
    };
    if (!allow(MYSQL_OPTION_MULTI_STATEMENTS_ON)) throw_last_error("send several statements");
    std::vector<uint64_t> affected;
    int next = mysql_real_query(handle_, together.data(), together.size());
    while (next == 0) {
        if (mysql_field_count(handle_) != 0)
            throw Error(ErrorKind::internal, "a statement with a result among several");
        affected.push_back(mysql_affected_rows(handle_));
        next = mysql_next_result(handle_);
    }
    if (next > 0) {
        try {
            const std::string& failed =
                statements[std::min(affected.size(), statements.size() - 1)];
            throw_last_error(failed.substr(0, 200));
        } catch (...) {
            allow(MYSQL_OPTION_MULTI_STATEMENTS_OFF);
            throw;
        }
    }
    if (!allow(MYSQL_OPTION_MULTI_STATEMENTS_OFF)) throw_last_error("end several statements");
    if (affected.size() != statements.size())
        throw Error(ErrorKind::internal, "a text with several statements among several");
    return affected;
}

std::vector<Row> MariadbConnection::query(std::string_view statement) {
    std::vector<Row> rows;
    stream(statement, [&](const RowView& view) {
        Row& row = rows.emplace_back(view.count);
        for (size_t i = 0; i < view.count; ++i)
            if (!view.is_null(i)) row[i].emplace(view.text(i));
    });
    return rows;
}

std::optional<std::string> MariadbConnection::value(std::string_view statement) {
    std::vector<Row> rows = query(statement);
    if (rows.empty() || rows[0].empty()) return std::nullopt;
    return std::move(rows[0][0]);
}

uint64_t MariadbConnection::number(std::string_view statement) {
    return std::strtoull(value(statement).value_or("0").c_str(), nullptr, 10);
}

void MariadbConnection::stream(std::string_view statement,
                               const std::function<void(const RowView&)>& row) {
    run(statement);
    {
        Result result(mysql_use_result(handle_));
        if (result.result == nullptr) {
            if (mysql_field_count(handle_) != 0) throw_last_error(statement.substr(0, 200));
        } else {
            size_t count = mysql_num_fields(result.result);
            try {
                while (MYSQL_ROW fields = mysql_fetch_row(result.result))
                    row({fields, mysql_fetch_lengths(result.result), count});
            } catch (...) {
                // Freeing the result would read all that is left of a large table.
                shutdown(mysql_get_socket(handle_), SHUT_RDWR);
                throw;
            }
            if (mysql_errno(handle_) != 0) throw_last_error(statement.substr(0, 200));
        }
    }
    while (mysql_more_results(handle_)) {  // of a CALL
        if (mysql_next_result(handle_) > 0) throw_last_error(statement.substr(0, 200));
        Result rest(mysql_use_result(handle_));
    }
}

uint64_t MariadbConnection::load_local(std::string_view statement,
                                       const std::function<size_t(char*, size_t)>& fill) {
    LocalFile file{&fill, nullptr};
    mysql_set_local_infile_handler(handle_, local_init, local_read, local_end, local_error, &file);
    bool failed = mysql_real_query(handle_, statement.data(), statement.size()) != 0;
    mysql_set_local_infile_handler(
        handle_, [](void**, const char*, void*) { return 1; }, local_read, local_end, local_error,
        nullptr);
    if (file.failure) std::rethrow_exception(file.failure);
    if (failed) throw_last_error(statement.substr(0, 200));
    return mysql_affected_rows(handle_);
}

uint64_t MariadbConnection::thread_id() const { return mysql_thread_id(handle_); }
unsigned MariadbConnection::warning_count() const { return mysql_warning_count(handle_); }
std::string MariadbConnection::server_version() const { return mysql_get_server_info(handle_); }
unsigned MariadbConnection::version_number() const {
    return static_cast<unsigned>(mysql_get_server_version(handle_));
}
bool MariadbConnection::is_mariadb() const {
    return server_version().find("MariaDB") != std::string::npos;
}

std::string quote_name(std::string_view name) {
    std::string out = "`";
    for (char c : name) {
        if (c == '`') out += '`';
        out += c;
    }
    return out + "`";
}

std::string quote_name(std::string_view database, std::string_view name) {
    return quote_name(database) + "." + quote_name(name);
}

std::string quote_text(std::string_view text) {
    std::string out = "'";
    for (char c : text) {
        switch (c) {
            case '\0':
                out += "\\0";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\x1a':
                out += "\\Z";
                break;
            case '\'':
            case '\\':
            case '"':
                out += '\\';
                [[fallthrough]];
            default:
                out += c;
        }
    }
    return out + "'";
}

std::string quote_hex(ByteView bytes) { return "X'" + to_hex(bytes) + "'"; }

}  // namespace sevenfold::sql
