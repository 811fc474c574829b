/* starchat_doctor.h - what of this machine some commands need besides the program; part of starchat.h. Each is SC_OK with a line for people about
 * what was found, or fails with a sentence that names the remedy. */
#ifndef STARCHAT_DOCTOR_H
#define STARCHAT_DOCTOR_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The sandbox for programs of models, tried and not just looked for, with the Python that judges them; its tools are those of the system. */
SC_API sc_status sc_sandbox_check(sc_text *out, sc_error *err);
/* The certificates that downloads trust. Reads REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE. */
SC_API sc_status sc_certificates_check(sc_text *out, sc_error *err);

#ifdef __cplusplus
}
#endif
#endif
