// Everything that an SFTP server can send: a stream cut into packets, each packet given to every
// parser. Only Error{corrupt} may come out.
#include <algorithm>
#include <cstdint>

#include "core/error.h"
#include "net/sftp_codec.h"

namespace sftp = sevenfold::net::sftp;

template <class Parse>
static void attempt(Parse parse) {
    try {
        parse();
    } catch (const sevenfold::Error& error) {
        if (error.kind() != sevenfold::ErrorKind::corrupt) __builtin_trap();
    }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    sevenfold::ByteView rest(data, size);
    sftp::Deframer deframer;
    attempt([&] {
        while (!rest.empty()) {
            sevenfold::MutableByteView space = deframer.space(64);
            size_t n = std::min(rest.size(), space.size());
            std::copy_n(rest.begin(), n, space.begin());
            deframer.filled(n);
            rest = rest.subspan(n);
            while (auto packet = deframer.next()) {
                attempt([&] { sftp::parse_version(*packet); });
                attempt([&] {
                    sftp::Reply reply = sftp::parse_reply(*packet);
                    attempt([&] { sftp::parse_status(reply.body); });
                    attempt([&] { sftp::parse_handle(reply.body); });
                    attempt([&] { sftp::parse_data(reply.body); });
                    attempt([&] { sftp::parse_names(reply.body); });
                    attempt([&] { sftp::parse_attributes(reply.body); });
                    attempt([&] { sftp::parse_limits(reply.body); });
                    attempt([&] { sftp::parse_statvfs(reply.body); });
                });
            }
        }
    });
    return 0;
}
