// Package appliance assembles a box from its parts and runs them as one: the raft
// log, the chunks, the links to the other boxes, the node, and the doors by which
// people come in.
package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/appliance/circle"
	"redhen/appliance/drill"
	"redhen/appliance/firstboot"
	"redhen/appliance/home"
	"redhen/appliance/status"
	"redhen/appliance/update"
	"redhen/appliance/web"
	"redhen/images/layout"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/roster"
	"redhen/provision/seed"
	"redhen/raftnode"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/raftlog"
	"redhen/raftnode/transport"
	"redhen/raftnode/vfs"
)

// DefaultP2P is the port that boxes use among themselves.
const DefaultP2P = 4717

// Config says how a box runs. Dir is needed; zero values mean the defaults.
type Config struct {
	Dir   string // state directory: everything the box keeps is below it
	HTTP  string // where the pages are, "host:port"; "" = nowhere
	HTTPS string // where visitors from the internet come in, "host:port"; "" = nowhere
	// HTTPSOptional: the box goes on when that cannot be opened.
	HTTPSOptional bool
	P2P           int          // TCP and UDP port for the other boxes; 0 = any free one
	Listen        netip.Addr   // the one address for the other boxes; zero = all of the machine
	Boot          string       // the mounted FAT partition of the card that the box started from; "" = none
	LAN           bool         // find members, and answer for names, on the local network; ask the router for a port
	Logger        *slog.Logger // nil = none

	Relays []addrbook.Rented // relays that belong to no circle, through which this one may be reached

	PromoteAfter time.Duration // see raftnode.Config

	RenewLook time.Duration // how often certificates are looked at; 0 = 10 minutes

	Wifi   *Wifi          // nil = somebody else looks after the radio, or there is none
	Panel  Panel          // screen and light; they are the caller's to close
	Update *update.Config // where the box has its slots; nil: it has none
	Clock  *Clock         // of a machine that keeps no time while it is off; nil: it does
	Canary time.Duration  // how long a release does well at a friend's before it is taken; 0 = update.Canary

	LookForUpdates time.Duration // between two looks at what friends have; 0 = ten minutes

	// What a machine gives, for tests that give it themselves.
	Machine  fs.FS                                  // /sys and /proc, rooted at /; nil = the machine's
	Underlay func(p2p.Config) p2p.Config            // puts the links on another internet; nil = the machine's
	Socket   func(dir string) (net.Listener, error) // opens the local door; nil = api.Listen
}

func (c *Config) validate() error {
	if c.Dir == "" {
		return errors.New("a box needs a state directory")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Underlay == nil {
		c.Underlay = func(links p2p.Config) p2p.Config { return links }
	}
	if c.Machine == nil {
		c.Machine = os.DirFS("/")
	}
	if c.Socket == nil {
		c.Socket = api.Listen
	}
	return nil
}

// Appliance is the running software of a box.
type Appliance struct {
	cfg      Config
	log      *slog.Logger
	key      ident.Key
	unlock   func()
	raftLog  *raftlog.Log
	chunks   *chunk.Store
	host     *p2p.Host
	peers    *transport.Peers
	node     *raftnode.Node
	accounts *account.Accounts
	circle   *circle.Circle
	home     *home.Home
	watch    *status.Watch
	drills   *drill.Drills
	start    *firstboot.Start // what the card asks for
	air      *air             // nil when somebody else looks after the radio
	socket   net.Listener     // of programs on this machine
	http     net.Listener     // of people; nil = none
	pages    *web.Server      // nil without http
	public   public           // the circle's name in the world
	updater  *update.Updater  // nil without slots
	disks    *dataDisks       // the same

	claimCode string // for a fresh box, a gift, and a forgotten password

	linked  bool            // the host runs
	base    *errgroup.Group // what the node stands on
	endBase context.CancelFunc
}

// Open opens everything that is on the box's disk, and its ports. The box is
// reachable, and answers, once Run is called.
func Open(cfg Config) (*Appliance, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	a := &Appliance{cfg: cfg, log: cfg.Logger, unlock: func() {}, endBase: func() {}}
	for _, open := range []func() error{a.openState, a.openStorage, a.openLinks, a.openPeople, a.openPublic, a.checkLevel, a.openUpdates, a.openDoors} {
		if err := open(); err != nil {
			a.close()
			return nil, err
		}
	}
	return a, nil
}

func (a *Appliance) openState() error {
	unlock, err := lock(a.cfg.Dir)
	if err != nil {
		return err
	}
	a.unlock = unlock
	a.key, err = loadKey(a.cfg.Dir)
	return err
}

func (a *Appliance) openStorage() (err error) {
	a.raftLog, err = openRaftLog(filepath.Join(a.cfg.Dir, "raftlog"), a.log)
	if err != nil {
		return err
	}
	a.chunks, err = chunk.Open(chunk.Config{
		Dir: filepath.Join(a.cfg.Dir, "chunks"), Logger: a.log, Room: room(a.cfg.Dir), Reserve: status.ReserveBytes,
	})
	return err
}

// openRaftLog opens the log; a damaged one is kept aside, and the node comes back
// without it under new numbers.
func openRaftLog(dir string, log *slog.Logger) (*raftlog.Log, error) {
	cfg := raftlog.Config{Dir: dir, Logger: log, Room: room(filepath.Dir(dir))}
	l, err := raftlog.Open(cfg)
	if !errors.Is(err, raftlog.ErrDamaged) {
		return l, err
	}
	aside := fmt.Sprintf("%s.damaged-%d", dir, time.Now().UnixMilli())
	log.Error("raft log damaged", "err", err, "kept", aside)
	if err := os.Rename(dir, aside); err != nil {
		return nil, fmt.Errorf("set damaged raft log aside: %w", err)
	}
	return raftlog.Open(cfg)
}

// salvaged reads what can be read of the log that was set aside last.
func (a *Appliance) salvaged() (raftlog.Entries, error) {
	aside, err := filepath.Glob(filepath.Join(a.cfg.Dir, "raftlog.damaged-*"))
	if err != nil || len(aside) == 0 {
		return nil, err
	}
	return raftlog.Salvage(raftlog.Config{Dir: slices.Max(aside), Logger: a.log})
}

// room says how much is free on the disk of a directory.
func room(dir string) func() (int64, error) {
	return func() (int64, error) { return vfs.Room(dir) }
}

// openLinks opens the host and the node, and starts what the node stands on.
func (a *Appliance) openLinks() (err error) {
	a.host, err = p2p.New(a.cfg.Underlay(p2p.Config{
		Key: a.key, Port: a.cfg.P2P, ListenIP: a.cfg.Listen, Dir: a.cfg.Dir,
		MDNS: a.cfg.LAN, PortMap: a.cfg.LAN, MapTCP: a.mapTCP(), Logger: a.log,
		Strangers: a.cfg.LAN && strangersAllowed(a.cfg.Dir, a.log),
	}))
	if err != nil {
		return err
	}
	if a.peers, err = transport.New(transport.Config{Host: a.host, Logger: a.log}); err != nil {
		return err
	}
	var ctx context.Context
	ctx, a.endBase = context.WithCancel(context.Background())
	a.base = &errgroup.Group{}
	a.base.Go(func() error { return a.raftLog.Run(ctx) })
	a.node, err = raftnode.Open(raftnode.Config{
		Box: a.key.BoxID(), Dir: a.cfg.Dir, Log: a.raftLog, Chunks: a.chunks, Net: a.peers,
		Logger: a.log, PromoteAfter: a.cfg.PromoteAfter, Known: a.knownBoxes(), Salvaged: a.salvaged,
	})
	if err != nil {
		return err
	}
	a.peers.SetLimit(a.uploadLimit)
	a.linked = true
	a.base.Go(func() error { return a.host.Run(ctx) })
	a.base.Go(func() error { return a.peers.Run(ctx) })
	return nil
}

// uploadLimit is what the keeper of this box gives of its uplink now, in bytes per
// second; zero is all of it.
func (a *Appliance) uploadLimit(time.Time) (limit int64) {
	_ = a.node.Directory(func(v directory.View) error { // without a circle there is no limit
		limit = v.BoxSettings(a.key.BoxID()).Upload(a.now())
		return nil
	})
	return limit
}

// knownBoxes are the members of last time, in case the directory here is damaged.
func (a *Appliance) knownBoxes() (boxes []ident.BoxID) {
	members, err := circle.Remembered(a.cfg.Dir)
	if err != nil {
		a.log.Warn("members of last time", "err", err)
	}
	for _, m := range members {
		boxes = append(boxes, m.Box)
	}
	return boxes
}

func (a *Appliance) openPeople() (err error) {
	hasher := account.NewHasher(account.Cost{})
	a.accounts, err = account.New(account.Config{Key: a.key, Directory: a.node, Hasher: hasher, Logger: a.log})
	if err != nil {
		return err
	}
	a.circle, err = circle.New(circle.Config{
		Key: a.key, Dir: a.cfg.Dir, Node: a.node, Host: a.host,
		Accounts: a.accounts, Hasher: hasher, Logger: a.log, Status: a.node.Status,
	})
	if err != nil {
		return err
	}
	a.start = a.openStart()
	if a.cfg.Wifi != nil {
		a.air = &air{Appliance: a, begun: time.Now()}
	}
	a.host.UseRelays(a.cfg.Relays, a.circle.Chain)
	a.host.BringVisitors(a.visitorNames)
	a.home = home.New(home.Config{Key: a.key, Dir: a.cfg.Dir, Host: a.host, Node: a.node, Ahead: a.circle.Ahead, Logger: a.log})
	a.watch, err = status.New(status.Config{
		Box: a.key.BoxID(), Node: a.node, Links: a.host.Links, Logger: a.log,
		Strangers: a.host.Strangers, Relays: a.host.HeldRelays,
		Outside: a.host.Outside, Outlook: a.host.Outlook, Reach: a.host.ReachOf,
		Disk:         func() (status.Disk, error) { return status.DiskOf(a.cfg.Dir) },
		Hardware:     func() status.Hardware { return status.ReadHardware(a.cfg.Machine, absolute(a.cfg.Dir)) },
		Wifi:         a.wifiNow,
		Now:          a.now,
		Home:         a.atHome,
		Public:       a.publicName,
		Near:         func() []ident.BoxID { return neighbours(a.host.Links()) },
		CardProblems: a.cardProblems,
	})
	if err != nil {
		return err
	}
	a.drills = drill.New(drill.Config{
		Box: a.key.BoxID(), Dir: a.cfg.Dir, Net: a.host, Node: a.node, Accounts: a.accounts,
		Space: spaces{a.node}.Space, Status: a.watch, Logger: a.log,
	})
	return nil
}

// openStart takes over what the card says.
func (a *Appliance) openStart() *firstboot.Start {
	cfg := firstboot.Config{
		Data: seed.Path(filepath.Join(a.cfg.Dir, "seed.toml")), Circle: a.circle,
		Self: a.self, News: a.node.News, Found: a.trouble(), Logger: a.log,
	}
	if a.cfg.Boot != "" {
		cfg.Card = seed.Dir(a.cfg.Boot)
	}
	return firstboot.Open(cfg)
}

// trouble is what the start of the system found wrong, a sentence each.
func (a *Appliance) trouble() []layout.Fault {
	found, err := layout.ReadFaults(a.cfg.Machine)
	if err != nil {
		a.log.Warn("what the start found is not known", "err", err)
	}
	return found
}

// cardProblems are what is wrong with the card, for the report.
func (a *Appliance) cardProblems() (all []status.Sentence) {
	for _, p := range a.start.State().Problems {
		all = append(all, p)
	}
	return all
}

// absolute is a path as the kernel's list of mounts has it, as well as can be told.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return dir
}

// now is the time, on the clock of the place that the card names.
func (a *Appliance) now() time.Time {
	if zone, err := time.LoadLocation(a.start.Seed().TimeZone); err == nil && a.start.Seed().TimeZone != "" {
		return time.Now().In(zone)
	}
	return time.Now()
}

// self is this box in the roster, zero while it is in no circle.
func (a *Appliance) self() roster.Box {
	me, _ := a.circle.Roster().Box(a.key.BoxID())
	return me
}

// Run runs the box until ctx ends: then the doors close, leadership moves to other
// houses, and everything is put down safely. It returns the reason when it ends by itself.
func (a *Appliance) Run(ctx context.Context) error {
	defer a.close()
	group, ctx := errgroup.WithContext(ctx)
	inner, doorsClosed := context.WithCancel(context.WithoutCancel(ctx)) // what is under way at the doors needs the node
	group.Go(func() error { return ended("node", a.node.Run(inner)) })
	group.Go(func() error { return ended("members", a.circle.FollowMembers(inner)) })
	group.Go(func() error { return ended("card", a.start.Run(inner)) })
	group.Go(func() error { return ended("wifi", a.keepWifi(inner)) })
	group.Go(func() error { return ended("stick", a.readSticks(inner)) })
	group.Go(func() error { return ended("panel", a.showPanel(ctx)) })
	group.Go(func() error { return ended("home", a.home.Run(inner)) })
	group.Go(func() error { return ended("diary", a.watch.Run(ctx)) })
	group.Go(func() error { return ended("names", a.answerNames(ctx)) })
	group.Go(func() error { return ended("update", a.followUpdates(ctx)) })
	group.Go(func() error { return ended("level", a.followLevel(inner)) })
	group.Go(func() error { return ended("updates of friends", a.takeFromFriends(ctx)) })
	group.Go(func() error { return ended("clock", a.followClocks(ctx)) })
	group.Go(func() error {
		defer doorsClosed()
		return ended("doors", a.serveDoors(ctx))
	})
	group.Go(func() error { return ended("public name", a.servePublic(ctx)) })
	a.log.Info("box runs", "box", a.key.BoxID(), "port", a.host.Port())
	return group.Wait()
}

func ended(part string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return nil
}

// close puts down what Open took up, in the opposite order.
func (a *Appliance) close() {
	for _, l := range []net.Listener{a.socket, a.http, a.public.https} {
		if l != nil {
			l.Close() // closed already after serving
		}
	}
	a.endBase()
	if a.host != nil && !a.linked {
		a.host.Close() // its ports must be free again; it never ran
	}
	if a.base != nil {
		if err := a.base.Wait(); err != nil {
			a.log.Error("box ends", "err", err)
		}
	}
	if a.chunks != nil {
		if err := a.chunks.Close(); err != nil {
			a.log.Warn("close chunks", "err", err)
		}
	}
	a.unlock()
}

// Addr returns the address of the pages, empty when there are none.
func (a *Appliance) Addr() string {
	if a.http == nil {
		return ""
	}
	return a.http.Addr().String()
}

// atHome tells the status who is not at home.
func (a *Appliance) atHome() (lost *status.Outcast, returns []status.Return, parted *status.Parted) {
	if o := a.home.Outcast(); o != nil {
		lost = &status.Outcast{Since: o.Since, At: o.At}
	}
	for _, r := range a.home.Returns() {
		returns = append(returns, status.Return{Box: r.Name, House: r.House, Since: r.Since})
	}
	if p := a.home.Parted(); p != nil {
		parted = &status.Parted{Since: p.Since, Here: p.Here, There: p.There, Picked: p.Picked}
	}
	return lost, returns, parted
}
