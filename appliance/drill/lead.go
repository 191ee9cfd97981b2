package drill

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/space"
	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// Step is where a drill is; Proof is what a box just showed.
type Step struct {
	Stage string
	Proof *Proof
}

// The stages of a drill.
const (
	StageAsking = "asking" // the boxes of the house whether they play dead
	StageSilent = "silent" // they do
	StageProof  = "proof"  // a box showed something
	StageBack   = "back"   // they are in reach again
)

// party is who takes part.
type party struct {
	order  Order
	house  roster.House
	boxes  []roster.Box // of the house
	others []roster.Box // of all other houses, this one among them
	keeper directory.Account
	key    ident.Key
	token  string
	fs     *space.FS
}

// Run has a house play dead, in the name of a keeper, and returns the signed
// report; tell hears of each step. When ctx ends the house comes back all the same.
func (d *Drills) Run(ctx context.Context, house, keeper, password string, tell func(Step)) (Report, error) {
	if !d.running.TryLock() {
		return Report{}, ErrRunning
	}
	defer d.running.Unlock()
	p, err := d.gather(ctx, house, keeper, password)
	if err != nil {
		return Report{}, err
	}
	if err := d.whole(ctx, p); err != nil {
		return Report{}, err
	}
	probe := fmt.Sprintf("/Fire drill %s.txt", hex.EncodeToString(p.order.ID[:4]))
	text := "Written before " + p.house.Name + " played dead.\n"
	if _, err := p.fs.Put(ctx, probe, strings.NewReader(text), space.PutOptions{Size: int64(len(text))}); err != nil {
		return Report{}, err
	}
	defer func() {
		clean, end := context.WithTimeout(context.WithoutCancel(ctx), askFor)
		defer end()
		if _, err := p.fs.Remove(clean, probe, space.WriteOptions{}); err != nil {
			d.cfg.Logger.Warn("drill: its file stays", "path", probe, "err", err)
		}
	}()
	tell(Step{Stage: StageAsking})
	for _, kind := range []int{askMay, askDead} {
		if err := d.order(ctx, p, kind); err != nil {
			return Report{}, err
		}
	}
	return d.watch(ctx, p, question{Kind: askProve, Order: p.order, Token: p.token, Path: probe, Text: text}, tell)
}

// gather finds out who takes part, and opens the keeper's key.
func (d *Drills) gather(ctx context.Context, house, keeper, password string) (p party, err error) {
	err = d.look(func(v directory.View, r *roster.State) error {
		var ok bool
		if p.keeper, ok = v.AccountByName(account.CleanName(keeper)); !ok {
			return account.ErrUnknown
		}
		me, _ := r.Box(d.cfg.Box)
		houses := r.Houses()
		i := slices.IndexFunc(houses, func(h roster.House) bool { return h.Name == house && len(h.Boxes) > 0 })
		switch {
		case i < 0:
			return fmt.Errorf("%w: %q", ErrNoHouse, house)
		case houses[i].ID == me.House && len(houses) < 2:
			return ErrOneHouse
		case houses[i].ID == me.House:
			return ErrOwnHouse
		}
		p.house = houses[i]
		for _, b := range r.Members() {
			if b.House == p.house.ID {
				p.boxes = append(p.boxes, b)
			} else {
				p.others = append(p.others, b)
			}
		}
		p.order = Order{Circle: r.Circle(), House: p.house.ID, Time: d.cfg.Now().UnixMilli()}
		return nil
	})
	if err != nil {
		return p, err
	}
	if p.key, err = d.cfg.Accounts.KeeperKey(ctx, p.keeper.ID, password); err != nil {
		return p, err
	}
	rand.Read(p.order.ID[:]) // never fails
	p.order.sign(p.key)
	var s account.Session
	if p.token, s, err = d.cfg.Accounts.Login(ctx, p.keeper.Name, password); err != nil {
		return p, err
	}
	p.fs, err = d.cfg.Space(ctx, s.Account, s.Name)
	return p, err
}

// whole refuses a drill that would find the circle hurt already: every box is
// there, and every space complete.
func (d *Drills) whole(ctx context.Context, p party) error {
	if n := len(d.silent(ctx, slices.Concat(p.boxes, p.others))); n > 0 {
		return fmt.Errorf("%w: %d boxes are silent", ErrNotNow, n)
	}
	r, err := d.cfg.Status.Report(ctx)
	if err != nil {
		return err
	}
	for _, s := range r.Spaces {
		if !s.Complete() {
			return fmt.Errorf("%w: %s", ErrNotNow, s.Words)
		}
	}
	return nil
}

// silent returns those of the boxes that this one does not hear.
func (d *Drills) silent(ctx context.Context, boxes []roster.Box) (silent []roster.Box) {
	st, err := d.cfg.Node.Status(ctx)
	if err != nil {
		return nil
	}
	heard := map[ident.BoxID]bool{d.cfg.Box: true}
	for _, b := range st.Boxes {
		heard[b.Box] = b.Alive
	}
	for _, b := range boxes {
		if !heard[b.ID] {
			silent = append(silent, b)
		}
	}
	return silent
}

// order asks every box of the house, and returns the first refusal.
func (d *Drills) order(ctx context.Context, p party, kind int) error {
	for _, b := range p.boxes {
		a, err := d.ask(ctx, b.ID, question{Kind: kind, Order: p.order}, askFor)
		if err != nil {
			d.cfg.Logger.Info("drill: no answer", "box", b.ID.Short(), "err", err)
			a.Refused = noAnswer
		}
		if a.Refused != "" {
			return &RefusedError{b.Name, a.Refused}
		}
	}
	return nil
}

func (d *Drills) ask(ctx context.Context, to ident.BoxID, q question, patience time.Duration) (a answer, err error) {
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	s, err := d.cfg.Net.Open(ctx, to, protocol)
	if err != nil {
		return a, err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	if err := wire.Write(s, q); err != nil {
		return a, err
	}
	return a, wire.Read(s, maxMessage, &a)
}

// watch follows the drill to its end and signs what came of it.
func (d *Drills) watch(ctx context.Context, p party, q question, tell func(Step)) (Report, error) {
	r := Report{Order: p.order, House: p.house.Name, Keeper: nameOf(p.keeper), Began: d.cfg.Now().UnixMilli()}
	end := time.Now().Add(Length)
	r.Silent = d.until(ctx, end.Add(-Length/2), func() bool { return len(d.silent(ctx, p.boxes)) == len(p.boxes) })
	if r.Silent {
		tell(Step{Stage: StageSilent})
		r.Proofs = d.proofs(ctx, p, q, tell)
	}
	if r.Silent = r.Silent && time.Now().Before(end.Add(lastWord)); r.Silent {
		r.Silent = len(d.silent(ctx, p.boxes)) == len(p.boxes)
	}
	r.Back = d.until(ctx, end.Add(2*Length), func() bool { return len(d.silent(ctx, p.boxes)) == 0 })
	if r.Back {
		tell(Step{Stage: StageBack})
	}
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	r.Ended = d.cfg.Now().UnixMilli()
	r.sign(p.key)
	return r, d.spread(ctx, p, r)
}

func nameOf(a directory.Account) string {
	if a.FullName != "" {
		return a.FullName
	}
	return a.Name
}

// until waits until cond holds; false when it does not in time.
func (d *Drills) until(ctx context.Context, end time.Time, cond func() bool) bool {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if ctx.Err() != nil || time.Now().After(end) {
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return true
}

// proofs has every box of the other houses show that people carry on, side by side.
func (d *Drills) proofs(ctx context.Context, p party, q question, tell func(Step)) []Proof {
	list := make([]Proof, len(p.others))
	var mu sync.Mutex // held while tell is called
	var wg sync.WaitGroup
	for i, b := range p.others {
		wg.Go(func() {
			if b.ID == d.cfg.Box {
				try, end := context.WithTimeout(ctx, proveFor)
				defer end()
				list[i] = d.prove(try, q)
			} else if a, err := d.ask(ctx, b.ID, q, proveFor); err == nil {
				list[i] = a.Proof
			} else {
				list[i] = Proof{Why: cut(err.Error())}
			}
			list[i].Box = b.Name
			mu.Lock()
			defer mu.Unlock()
			tell(Step{Stage: StageProof, Proof: &list[i]})
		})
	}
	wg.Wait()
	return list
}

// spread gives the report to every box, and notes the drill in the diary.
func (d *Drills) spread(ctx context.Context, p party, r Report) error {
	b := wire.MustMarshal(r)
	if err := d.keep(b); err != nil {
		return err
	}
	for _, box := range slices.Concat(p.others, p.boxes) {
		if box.ID == d.cfg.Box {
			continue
		}
		if a, err := d.ask(ctx, box.ID, question{Kind: askKeep, Report: b}, askFor); err != nil || a.Refused != "" {
			d.cfg.Logger.Warn("drill: report not kept", "box", box.ID.Short(), "refused", string(a.Refused), "err", err)
		}
	}
	kept := 0
	for i, proof := range r.Proofs {
		if i == 0 || proof.Kept < kept {
			kept = proof.Kept
		}
	}
	good := "no"
	if r.Good() {
		good = "yes"
	}
	_, err := d.cfg.Node.Command(ctx, directory.Command{ID: r.Order.ID, Diary: &directory.Entry{What: "fire-drill", About: map[string]string{
		"key": hex.EncodeToString(r.Order.ID[:]), "house": r.House, "by": r.Keeper, "good": good,
		"boxes": strconv.Itoa(len(r.Proofs)), "kept": strconv.Itoa(kept), "sig": hex.EncodeToString(r.Sig),
	}}})
	return err
}
