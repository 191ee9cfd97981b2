package raftnodetest

import (
	"time"
	"unsafe"
)

// now is the box's clock. SetClock moves its wall alone, as a correction by NTP does: the
// differences of two times, which Go takes from the monotonic clock, are always true.
func (b *Box) now() time.Time {
	return jumped(time.Now(), b.jump.Load())
}

// SetClock has the box's clock on the wall jump to so many seconds from the truth.
func (b *Box) SetClock(seconds int64) { b.jump.Store(seconds) }

// jumped moves the wall of a time of a synctest bubble, which has no monotonic reading,
// and gives it one. The time package has no way to do that: its first word is a flag, 33
// bits of seconds since 1885 and 30 of nanoseconds, its second the monotonic clock.
func jumped(t time.Time, seconds int64) time.Time {
	const monotonic, from1885 = 1 << 63, 62135596800 - 59453308800
	words := (*struct {
		wall uint64
		ext  int64
	})(unsafe.Pointer(&t))
	*words = struct {
		wall uint64
		ext  int64
	}{monotonic | uint64(t.Unix()+from1885+seconds)<<30 | uint64(t.Nanosecond()), t.UnixNano()}
	return t
}
