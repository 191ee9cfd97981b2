package appliance

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"redhen/appliance/ingress"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/raftnode/directory"
)

// floodAgain is how often the diary tells of floods at one relay at most: a relay that
// lies does not fill it.
const floodAgain = 50 * time.Minute

// floods is when each relay told of one last.
type floods struct {
	mu   sync.Mutex
	told map[ident.BoxID]time.Time
}

// enter reports whether a relay may tell of a flood now, and has it count.
func (f *floods) enter(relay ident.BoxID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.told[relay]; ok && now.Sub(last) < floodAgain {
		return false
	}
	if f.told == nil {
		f.told = map[ident.BoxID]time.Time{}
	}
	f.told[relay] = now
	return true
}

// leave has it not count.
func (f *floods) leave(relay ident.BoxID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.told, relay)
}

// tellFlood has the diary say that strangers crowd this box's door.
func (a *Appliance) tellFlood(f ingress.Flood) {
	a.log.Warn("visitors turned away", "number", f.Refused)
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	me := a.self()
	house, _ := a.circle.Roster().House(me.House)
	if err := a.noteFlood(ctx, "visitors-flood", f, "box", me.Name, "house", house.Name); err != nil {
		a.log.Warn("diary", "err", err)
	}
}

// hearFlood has the diary say that strangers crowd the door of a relay, unless it has
// just said so.
func (a *Appliance) hearFlood(ctx context.Context, from ident.BoxID, s p2p.Stream) {
	held := a.host.HeldRelays()
	i := slices.IndexFunc(held, func(r addrbook.Rented) bool { return r.Box == from })
	if i < 0 {
		s.Reset()
		return
	}
	err := ingress.HearFlood(ctx, s, func(ctx context.Context, f ingress.Flood) error {
		if !a.public.floods.enter(from, time.Now()) {
			return nil
		}
		err := a.noteFlood(ctx, "relay-flood", f, "at", held[i].At.String())
		if err != nil {
			a.public.floods.leave(from)
		}
		return err
	})
	if err != nil {
		a.log.Info("flood at a relay not noted", "relay", from.Short(), "err", err)
	}
}

// noteFlood writes a row of the diary, about pairs of a key and a value.
func (a *Appliance) noteFlood(ctx context.Context, what string, f ingress.Flood, about ...string) error {
	e := &directory.Entry{What: what, About: map[string]string{"n": strconv.Itoa(f.Refused)}}
	for pair := range slices.Chunk(about, 2) {
		e.About[pair[0]] = pair[1]
	}
	out, err := a.node.Command(ctx, directory.Command{Diary: e})
	if err == nil && out.Code != directory.Done {
		err = errors.New("the circle refused: " + string(out.Code))
	}
	return err
}

// tellFlood has the diary of each circle that visitors come to through this relay say
// that strangers crowd it. One box of a circle is enough.
func (r *Relay) tellFlood(f ingress.Flood) {
	r.cfg.Logger.Warn("visitors turned away", "number", f.Refused)
	ctx, done := context.WithTimeout(context.Background(), 2*time.Minute)
	defer done()
	var all sync.WaitGroup
	for _, boxes := range r.host.Visited() {
		all.Go(func() {
			for _, b := range boxes {
				err := ingress.Tell(ctx, r.host.Open, b, f)
				if err == nil {
					return
				}
				r.cfg.Logger.Info("flood not told", "box", b.Short(), "err", err)
			}
		})
	}
	all.Wait()
}
