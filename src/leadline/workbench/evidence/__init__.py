"""Assets under custody: taken in, sealed, matched, held, erased; exhibits that leave. An asset never knows its reports."""
