// Everything that a client of the replication source can send: a login, then commands, of which
// statements are answered. Only Error{corrupt} may come out.
#include <cstdint>

#include "core/cursor.h"
#include "core/error.h"
#include "core/log.h"
#include "database/mariadb/source/internal/session.h"
#include "database/mariadb/source/wire.h"

namespace source = sevenfold::database::mariadb::source;

template <class Parse>
static void attempt(Parse parse) {
    try {
        parse();
    } catch (const sevenfold::Error& error) {
        if (error.kind() != sevenfold::ErrorKind::corrupt) __builtin_trap();
    }
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    sevenfold::set_log_level(sevenfold::LogLevel::error);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    sevenfold::ByteView bytes(data, size);
    attempt([&] { source::parse_login(bytes); });
    source::Session session(1, "10.11.0-MariaDB");
    attempt([&] {
        sevenfold::Cursor cursor(bytes, "input");
        while (!cursor.done()) {
            size_t low = cursor.u8(), high = cursor.u8();
            sevenfold::ByteView packet = cursor.take(low | high << 8);
            attempt([&] {
                source::Command command = source::parse_command(packet);
                if (command.type != source::Command::query) return;
                for (const sevenfold::Bytes& answer : session.answer(command.text))
                    if (answer.empty()) __builtin_trap();
                session.number("master_heartbeat_period");
            });
        }
    });
    return 0;
}
