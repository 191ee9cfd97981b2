package main

import _ "time/tzdata" // a card, like a lean server, has no list of time zones of its own
