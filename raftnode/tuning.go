package raftnode

import "time"

// Raft's timers, in ticks of Config.Tick (250 ms): a heartbeat every 0.5 s, an
// election after 4–8 s without one, which is longer than a card's stall (FACTS.md).
const (
	heartbeatTicks = 2
	electionTicks  = 16
	restTicks      = 12 // calm ticks before a leader puts its group to sleep
)

// Beats and what hangs on them.
const (
	beatEvery   = time.Second
	beatMissing = 4 * time.Second // no beat for so long: the box is away
	apartAfter  = 4 * time.Second // no quorum for so long: the shard is apart
)

// Housekeeping.
const (
	flushEvery       = 3 * time.Second
	flushEntries     = 500
	snapshotHold     = 2 * time.Minute  // a copy of the state stays fresh so long
	snapshotUnheard  = 4 * time.Second  // a box that says for so long that it fetches none was not told
	snapshotPatience = 30 * time.Minute // a box may take so long to fetch one
	planEvery        = 2 * time.Second
	matchSlack       = 64 // entries of which a learner may still owe chunks when it becomes a voter
	leaderMoveEvery  = time.Minute
	writerRunLength  = 3
)

// Chunks.
const (
	debtRetry  = 5 * time.Second
	debtBatch  = 64               // chunks asked for in one go
	maxCovered = 1024             // entries looked at before a voter may leave
	brakeFor   = 5 * time.Second  // writes that would keep a voter from leaving wait so long
	brakePause = 25 * time.Second // and go on for so long before they wait again
	pushToAll  = 4 << 20          // a content of so many bytes goes to all voters at once, a larger one to a majority
)

// Answers.
const (
	answerAfter    = 10 * time.Second       // then a write is journaled and answered as kept in one house
	offerFor       = 30 * time.Second       // then chunks are looked at again
	callFor        = 30 * time.Second       // one call from box to box
	lagFor         = 500 * time.Millisecond // to wait for the state here once the leader has answered
	attemptFor     = 5 * time.Second        // one try to have an entry committed
	retryMin       = 100 * time.Millisecond
	retryMax       = 2 * time.Second
	handOverFor    = 3 * time.Second // leadership moves away before a planned stop
	maxRecent      = 64              // settled writes remembered at a box without a replica
	settleTogether = 32              // writes of one space that are sent side by side
)
