package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/appliance/circle"
	"redhen/appliance/dav"
	"redhen/appliance/status"
	"redhen/appliance/update"
	"redhen/images/datadisk"
	"redhen/images/flash"
	"redhen/images/layout"
	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/p2p"
)

// updateFile remembers in the state directory, over the restart, what was installed.
const updateFile = "update.json"

// tried is what updateFile says.
type tried struct {
	Release string        `json:"release"`
	Number  uint64        `json:"number"`
	Links   []ident.BoxID `json:"links,omitempty"` // that were up before
}

// openUpdates opens the slots, where the box has some.
func (a *Appliance) openUpdates() error {
	if a.cfg.Update == nil {
		return nil
	}
	cfg := *a.cfg.Update
	cfg.Healthy, cfg.Log, cfg.Installed = a.healthy, a.log, a.rememberUpdate
	cfg.Dir, cfg.Turn = filepath.Join(a.cfg.Dir, "update"), a.turn
	cfg.Level = func() uint64 {
		agreed, _, err := a.circle.Formats()
		if err != nil {
			a.log.Warn("formats of the circle", "err", err)
			return layout.Level // what runs is not too old
		}
		return agreed
	}
	a.updater = update.New(cfg)
	a.disks = &dataDisks{Box: &datadisk.Box{Disks: a.cfg.Machine, Card: layout.DataDir, State: a.cfg.Dir}, updater: a.updater}
	a.host.Handle(update.Protocol, p2p.Members, a.updater.Serve)
	return nil
}

// turnFor is how long an update may take until another box may begin with one.
const turnFor = 30 * time.Minute

// turn takes the circle's one turn to update a box, or gives it back. Where the circle
// cannot be asked, nobody else gets a turn either.
func (a *Appliance) turn(ctx context.Context, take bool) error {
	if !a.circle.Claimed() {
		return nil
	}
	var until time.Time
	if take {
		until = time.Now().Add(turnFor)
	}
	ctx, end := context.WithTimeout(ctx, 10*time.Second)
	defer end()
	err := a.circle.BeginUpdate(ctx, until)
	if errors.Is(err, circle.ErrAnotherUpdates) {
		return err
	}
	if err != nil {
		a.log.Warn("turn to update", "take", take, "err", err)
	}
	return nil
}

// takeFromFriends takes releases that did well at other boxes, until ctx ends.
func (a *Appliance) takeFromFriends(ctx context.Context) error {
	if a.updater == nil {
		return nil
	}
	return a.updater.Follow(ctx, update.Friends{
		InReach: a.inReach, Canary: a.cfg.Canary, Every: a.cfg.LookForUpdates,
		Open: func(ctx context.Context, box ident.BoxID) (p2p.Stream, error) {
			return a.host.Open(ctx, box, update.Protocol)
		},
		Pinned: func() bool {
			wishes, err := a.circle.BoxWishes()
			return err != nil || wishes.Pinned
		},
	})
}

// bakery writes cards for others from the slot that runs, nil where there is none.
func (a *Appliance) bakery() api.Bakery {
	cfg := a.cfg.Update
	if cfg == nil {
		return nil
	}
	running := cfg.Loader.Running()
	return flash.Bakery{Disks: a.cfg.Machine, Own: flash.OwnOf(cfg.Running, running, cfg.Boot, cfg.Root(running), a.cfg.Dir)}
}

// dataDisks has the box keep its data on a disk. It moves there at the next start, when
// redhen does not run.
type dataDisks struct {
	*datadisk.Box
	updater *update.Updater
}

var _ api.DataDisks = (*dataDisks)(nil)

// Choose implements api.DataDisks. A release on trial that restarts might be given up for that.
func (d *dataDisks) Choose(ctx context.Context, device, typed string) (datadisk.Target, error) {
	trial, err := d.updater.OnTrial()
	if err != nil {
		return datadisk.Target{}, err
	}
	if trial {
		return datadisk.Target{}, &flash.Refusal{Code: string(datadisk.OnTrial), Sentence: "The release that this box runs has yet to prove itself. Nothing was changed. Try it again in some minutes."}
	}
	t, err := d.Box.Choose(ctx, device, typed)
	if err == nil {
		d.updater.AskRestart()
	}
	return t, err
}

// followUpdates confirms the slot that runs, tells the diary what became of an update,
// and returns update.ErrRestart when one was installed.
func (a *Appliance) followUpdates(ctx context.Context) error {
	if a.updater == nil {
		return nil
	}
	telling, end := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() { // ends with telling
		defer close(told)
		a.tellUpdate(telling)
	}()
	defer func() { end(); <-told }()
	return a.updater.Run(ctx)
}

// rememberUpdate notes what is about to be tried.
func (a *Appliance) rememberUpdate(release string, number uint64) error {
	t := tried{Release: release, Number: number, Links: a.inReach()}
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("remember update: %w", err)
	}
	return onefile.Replace(filepath.Join(a.cfg.Dir, updateFile), b)
}

// inReach are the boxes in reach.
func (a *Appliance) inReach() (boxes []ident.BoxID) {
	for _, l := range a.host.Links() {
		if l.State != p2p.None {
			boxes = append(boxes, l.Box)
		}
	}
	return boxes
}

// lastTried returns what was tried last, false when the diary knows already.
func (a *Appliance) lastTried() (t tried, ok bool) {
	b, err := onefile.Read(filepath.Join(a.cfg.Dir, updateFile), 64<<10)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("last update is not known", "err", err)
	}
	return t, err == nil
}

// sayEvery is the pause between two tries to write into the diary.
const sayEvery = 10 * time.Second

// tellUpdate writes into the diary what became of the last update: it waits until the
// circle's records can be written.
func (a *Appliance) tellUpdate(ctx context.Context) {
	t, ok := a.lastTried()
	if !ok {
		return
	}
	for {
		if a.sayUpdate(ctx, t) {
			os.Remove(filepath.Join(a.cfg.Dir, updateFile)) // what stays is said again, which changes nothing
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sayEvery):
		}
	}
}

func (a *Appliance) sayUpdate(ctx context.Context, t tried) bool {
	trial, err := a.updater.OnTrial()
	about := a.About()
	if err != nil || trial || !about.Claimed {
		return err == nil && !trial && !about.Claimed // a fresh box has no diary
	}
	well := a.updater.Running().Number == t.Number
	if !well {
		if err := a.updater.NoteFailed(t.Number); err != nil {
			a.log.Warn("release that did not do well", "err", err)
		}
	}
	if wishes, err := a.circle.BoxWishes(); err == nil && wishes.Updating != 0 && a.circle.BeginUpdate(ctx, time.Time{}) != nil {
		return false
	}
	key := fmt.Sprintf("%s %d", about.ID, t.Number)
	return a.watch.Say(ctx, status.Updated(well, key, about.Name, about.House, t.Release)) == nil
}

// The reasons for which a box is not healthy yet.
var (
	errNotServing = errors.New("the pages do not answer")
	errLate       = errors.New("this box has not caught up")
	errAlone      = errors.New("no friend is in reach who was before the update")
)

// healthy says why the box, after an update, is not yet as well as before: it serves,
// has caught up with what is in reach, and reaches friends again if it did before. One
// is enough: another may have been switched off meanwhile.
func (a *Appliance) healthy(ctx context.Context) error {
	ctx, end := context.WithTimeout(ctx, 10*time.Second)
	defer end()
	if err := a.serves(ctx); err != nil {
		return err
	}
	if !a.circle.Claimed() {
		return nil
	}
	if t, ok := a.lastTried(); ok && len(t.Links) > 0 {
		up := a.inReach()
		if !slices.ContainsFunc(t.Links, func(b ident.BoxID) bool { return slices.Contains(up, b) }) {
			return errAlone
		}
	}
	r, err := a.watch.Report(ctx)
	if err != nil {
		return err
	}
	for _, s := range r.Spaces {
		if slices.ContainsFunc(s.Late, func(l status.Late) bool { return l.Box == r.Box && l.Behind > 0 }) {
			return errLate
		}
	}
	return nil
}

// serves asks the box's own pages.
func (a *Appliance) serves(ctx context.Context) error {
	if a.http == nil {
		return nil
	}
	_, port, err := net.SplitHostPort(a.Addr())
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("localhost", port)+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return errNotServing
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errNotServing
	}
	return nil
}

// keepersOnly lets the keeper of this box through, by name and password.
func (a *Appliance) keepersOnly() func(http.ResponseWriter, *http.Request) bool {
	auth := dav.NewPasswords(a.accounts, account.Realm, nil)
	return func(w http.ResponseWriter, r *http.Request) bool {
		who, ok := auth.Authenticate(w.Header(), r)
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, "That is for the keeper of this box. Nothing was changed. Give the keeper's name and password.\n")
			return false
		}
		if roster := a.circle.Roster(); roster != nil {
			if me, ok := roster.Box(a.key.BoxID()); ok && me.Keeper == who {
				return true
			}
		}
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "That is for the keeper of this box alone. Nothing was changed. Ask the keeper.\n")
		return false
	}
}
