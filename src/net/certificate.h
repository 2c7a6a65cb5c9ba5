// What a TLS server shows of itself, whether or not it is to be trusted.
#pragma once

#include <chrono>
#include <string>

#include "core/time.h"

namespace sevenfold::net {

struct CertificateFacts {
    Time expires;         // the earliest of the certificates it sends
    std::string subject;  // of the server's own; from outside
    std::string problem;  // why it is not trusted, in libcurl's words; empty: it is
};

// Connects to an https URL's host and says goodbye after TLS' handshake; twice when it is not
// trusted. `ca_file` empty: the system's authorities. Throws network or timeout.
CertificateFacts server_certificate(const std::string& url, const std::string& ca_file,
                                    std::chrono::nanoseconds patience);

}  // namespace sevenfold::net
