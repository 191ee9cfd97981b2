package status

import (
	"context"
	"crypto/sha256"
	"slices"
	"strconv"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// recordEvery is how often the recorder looks.
const recordEvery = 15 * time.Second

// Run keeps the diary until ctx ends, and returns nil. What the directory decides
// it notes itself; Run adds what boxes see. Only the box that leads the circle's
// records writes, and what stands in the diary already is not said again: so every
// event is there once, whoever saw it.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := w.record(ctx); err != nil && ctx.Err() == nil {
			w.cfg.Logger.Debug("diary", "err", err)
		}
	}
}

func (w *Watch) record(ctx context.Context) error {
	f, err := w.facts(ctx)
	if err != nil || !leadsCircle(f) {
		return err
	}
	var rows []directory.Entry
	err = w.cfg.Node.Directory(func(v directory.View) error {
		rows = v.Diary(directory.MaxDiary)
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range events(Build(f), rows, w.cfg.AwayAfter) {
		if err := w.Say(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func leadsCircle(f Facts) bool {
	return slices.ContainsFunc(f.Boxes, func(st raftnode.Status) bool {
		return st.Box == f.Self && slices.ContainsFunc(st.Shards, func(sh raftnode.ShardStatus) bool {
			return sh.Shard == ident.CircleShard && sh.Leads
		})
	})
}

// events lists what the diary does not say yet. It is pure; rows are the newest first.
func events(r Report, rows []directory.Entry, awayAfter time.Duration) (list []directory.Entry) {
	for _, h := range r.Houses {
		if e, ok := houseEvent(r, h, rows, awayAfter); ok {
			list = append(list, e)
		}
		for _, b := range h.Boxes {
			if e, ok := checkEvent(h, b, rows); ok {
				list = append(list, e)
			}
		}
	}
	if e, ok := wholeEvent(r, rows); ok {
		list = append(list, e)
	}
	return list
}

// Updated is the row of an update that did well, or after which the box went back by
// itself. key tells it from all others.
func Updated(well bool, key, box, house, release string) directory.Entry {
	what := whatFellBack
	if well {
		what = whatUpdated
	}
	return entry(what, key, "box", box, "house", house, "release", release)
}

// Say writes a row into the diary, once however often it is said.
func (w *Watch) Say(ctx context.Context, e directory.Entry) error {
	id := sha256.Sum256([]byte("redhen diary " + e.What + " " + e.About["key"]))
	_, err := w.cfg.Node.Command(ctx, directory.Command{ID: [16]byte(id[:16]), Diary: &e})
	return err
}

// entry makes a row; key tells it from all others of its kind.
func entry(what, key string, pairs ...string) directory.Entry {
	e := directory.Entry{What: what, About: map[string]string{"key": key}}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.About[pairs[i]] = pairs[i+1]
	}
	return e
}

// houseEvent tells that a house went away or came back.
func houseEvent(r Report, h House, rows []directory.Entry, awayAfter time.Duration) (directory.Entry, bool) {
	last := newest(rows, h.Name, whatAway, whatBack)
	wasAway := last != nil && last.What == whatAway
	since := h.Reached.Since
	switch isAway := h.Reached.How == Away; {
	case isAway && !wasAway && !since.IsZero() && r.Time.Sub(since) >= awayAfter:
		at := strconv.FormatInt(since.UnixMilli(), 10)
		return entry(whatAway, h.Name+" "+at, "house", h.Name, "since", at), true
	case !isAway && wasAway:
		at := last.About["since"]
		return entry(whatBack, h.Name+" "+at, "house", h.Name, "since", at), true
	}
	return directory.Entry{}, false
}

// wholeEvent tells that after something had happened all copies are complete again.
func wholeEvent(r Report, rows []directory.Entry) (directory.Entry, bool) {
	last := newest(rows, "", whatWhole, whatGone, whatTaken, whatStolen, whatRetired, whatAdmitted, whatBack)
	if last == nil || last.What == whatWhole || r.Safe != Yes {
		return directory.Entry{}, false
	}
	least := len(r.Houses)
	for _, s := range r.Spaces {
		least = min(least, len(s.Houses))
	}
	return entry(whatWhole, strconv.FormatInt(last.Time, 10), "houses", strconv.Itoa(least)), true
}

// newest finds the newest row of some kinds, about a house when one is named.
func newest(rows []directory.Entry, house string, kinds ...string) *directory.Entry {
	for i := range rows {
		if slices.Contains(kinds, rows[i].What) && (house == "" || rows[i].About["house"] == house) {
			return &rows[i]
		}
	}
	return nil
}
