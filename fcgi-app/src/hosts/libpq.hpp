// libpq, whose header has another place on Debian than elsewhere. Any thread.
#pragma once

#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif
