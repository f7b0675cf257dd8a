"""Assets under custody: taken in, sealed, matched, held, erased; exhibits. An asset never knows its reports."""
