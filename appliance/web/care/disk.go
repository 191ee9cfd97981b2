package care

import (
	"context"
	"errors"

	"redhen/appliance/web/page"
	"redhen/images/datadisk"
	"redhen/images/flash"
)

// diskNow is the part of the page that tells of a disk to which the data is to move.
type diskNow struct {
	page.Doing[string]
	Targets []datadisk.Target
	Words   string // why it ended
}

func (p *Pages) diskNow(q *page.Request) (now diskNow, change <-chan struct{}) {
	if p.Disks == nil {
		return now, nil
	}
	now.Doing, change = p.disk.Look()
	if !now.Begun || now.Err != nil {
		now.Targets = p.Disks.Targets()
	}
	if r, ok := errors.AsType[*flash.Refusal](now.Err); ok && r.Code != "" {
		now.Words = q.Say("disk.wrong."+r.Code, r.About...)
	} else if now.Err != nil {
		now.Words = q.Say("disk.failed")
	}
	return now, change
}

// beginDisk erases the disk whose name was typed, and has the box move there.
func (p *Pages) beginDisk(q *page.Request) error {
	if !q.KeepsThis() || p.Disks == nil {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.showBox(q, f, "disk") }
	if !f.Needs("disk-name") {
		return again(f)
	}
	for _, t := range p.Disks.Targets() {
		if !t.Called(f.Get("disk-name")) {
			continue
		}
		p.disk.Begin(q, t.Words, func(ctx context.Context, _ func(func(*string))) error {
			_, err := p.Disks.Choose(ctx, t.Device, f.Get("disk-name"))
			return err
		})
		q.Redirect("/box/care#disk")
		return nil
	}
	f.Wrong("disk-name", "disk.name")
	return again(f)
}

func (p *Pages) liveDisk(q *page.Request) error {
	if !q.KeepsThis() || p.Disks == nil {
		return q.NotYourBox()
	}
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		now, change := p.diskNow(q)
		html, err := q.Part("care", "disk", now)
		return html, change, err
	})
}
