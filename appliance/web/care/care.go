// Package care is the pages by which people look after a circle and their box: fire
// drills, reading everything again, updates, the help of strangers, leaving for good.
package care

import (
	"context"
	"embed"
	"io"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/drill"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
	"redhen/images/datadisk"
	"redhen/images/layout"
	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/scrub"
)

// Templates are the pages.
//
//go:embed templates
var Templates embed.FS

// Drills are the fire drills of the circle; *drill.Drills is one.
type Drills interface {
	Run(ctx context.Context, house, keeper, password string, tell func(drill.Step)) (drill.Report, error)
	Last() (drill.Report, bool)
	SetConsent(ctx context.Context, consents bool) error
}

// Scrubber reads everything again that the box keeps; *raftnode.Node is one.
type Scrubber interface {
	Scrub(ctx context.Context, tell func(scrub.Status)) (scrub.Round, error)
}

// Leaving takes this box out of its circle; *circle.Circle does it.
type Leaving interface {
	Retire(ctx context.Context, tell func(circle.Leaving)) error
	StayAfterAll(ctx context.Context) error
}

// Neighbours are boxes that seem to stand in this house.
type Neighbours interface {
	// Neighbours lists those for which nobody has answered, by ID and name.
	Neighbours(ctx context.Context) ([]status.BoxFacts, error)
}

// Wishes notes what the keeper of this box decides; *circle.Circle does it.
type Wishes interface {
	BoxWishes() (directory.BoxSettings, error)
	Wish(ctx context.Context, by ident.AccountID, change func(*directory.BoxSettings)) error
}

// Updates installs signed systems; *update.Updater does it. The box restarts by itself
// after an update.
type Updates interface {
	Running() layout.About
	Install(ctx context.Context, r io.Reader) (layout.About, error)
	// Postpone has the box take nothing from friends until then; Postponed says until when.
	Postpone(until time.Time) error
	Postponed() time.Time
}

// DataDisks are the disks that could keep the data of this box. Once one is chosen, which
// takes minutes, the box restarts by itself and moves there.
type DataDisks interface {
	Targets() []datadisk.Target
	Choose(ctx context.Context, device, typed string) (datadisk.Target, error)
}

// Strangers is the switch for the help of others than the circle's boxes.
type Strangers interface {
	SetStrangers(on bool) error
}

// Reports say how the circle is; *status.Watch does.
type Reports interface {
	Report(ctx context.Context) (status.Report, error)
}

var (
	_ Drills   = (*drill.Drills)(nil)
	_ Scrubber = (*raftnode.Node)(nil)
	_ Leaving  = (*circle.Circle)(nil)
)

// Pages are the pages.
type Pages struct {
	Drills    Drills
	Scrubber  Scrubber
	Leaving   Leaving
	Updates   Updates   // nil: the box has no slots for updates
	Disks     DataDisks // nil: the box keeps its data where its computer does
	Strangers Strangers
	Near      Neighbours
	Wishes    Wishes
	Status    Reports
	// Consents reports whether this box takes part in drills.
	Consents func() bool

	drill  page.Errand[drilling]
	scrub  page.Errand[scrub.Status]
	retire page.Errand[leaving]
	disk   page.Errand[string] // the disk, in words
}

// Routes lists what people who are logged in may open, and send.
func (p *Pages) Routes() map[string]page.Handler {
	return map[string]page.Handler{
		"GET /circle/drill":          p.drillPage,
		"POST /circle/drill":         p.beginDrill,
		"POST /circle/drill/consent": page.Deciding(p.consent),
		"GET /live/drill":            p.liveDrill,
		"POST /box/scrub":            p.beginScrub,
		"GET /live/scrub":            p.liveScrub,
		"POST /box/update":           p.install,
		"POST /box/update/when":      page.Deciding(p.when),
		"POST /box/strangers":        p.strangers,
		"POST /box/elsewhere":        page.Deciding(p.elsewhere),
		"POST /box/disk":             p.beginDisk,
		"GET /live/disk":             p.liveDisk,
		"POST /box/retire":           p.beginRetire,
		"POST /box/stay":             page.Deciding(p.stay),
		"GET /live/retire":           p.liveRetire,
		"GET /box/care":              p.boxPage,
	}
}

// Open lists what anybody may open: a box that has left knows nobody any more.
func (p *Pages) Open() map[string]page.Handler {
	return map[string]page.Handler{"GET /box/retire": p.retirePage}
}
