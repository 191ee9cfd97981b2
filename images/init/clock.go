package main

import (
	"log"
	"os"
	"time"

	"redhen/board/clock"
	"redhen/images/layout"
)

// clockEvery is how often the time is noted: so far behind is a box without a clock chip
// after a power cut, until it has asked the internet.
const clockEvery = 10 * time.Minute

// clockFile bears the last known time as its own.
const clockFile = layout.DataDir + "/clock"

// setClock sets a clock that shows an earlier time than is known to have been: that of
// the last note, or of the release that runs.
func (s *system) setClock() {
	about, err := layout.ReadAbout(s.root)
	if err != nil {
		log.Print(err)
	}
	then, wrong := lastKnown(time.Now(), time.Unix(int64(about.Number), 0), clockFile)
	if !wrong {
		return
	}
	if err := clock.Set(then); err != nil {
		log.Print(err)
		return
	}
	log.Printf("the clock was behind; it shows the last known time, %s", then.UTC().Format(time.DateTime))
}

// lastKnown is the latest time that is known to have been, and whether now is before it.
func lastKnown(now, made time.Time, file string) (then time.Time, wrong bool) {
	then = made
	if st, err := os.Stat(file); err == nil && st.ModTime().After(then) {
		then = st.ModTime()
	}
	return then, now.Before(then)
}

// noteClock notes the time again and again; it ends with the box.
func noteClock() {
	for {
		time.Sleep(clockEvery)
		if err := noteTime(time.Now(), clockFile); err != nil {
			log.Printf("note the time: %v", err)
		}
	}
}

// noteTime has a file bear a time. It may be earlier than the one before: the clock began
// with that, so the internet has set it right since.
func noteTime(now time.Time, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Chtimes(file, now, now)
}
