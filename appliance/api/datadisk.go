package api

import (
	"context"
	"errors"
	"net/http"

	"redhen/images/datadisk"
	"redhen/images/flash"
)

// DataDisks has a box keep its data on a disk that lasts longer than its card. Choose
// erases the disk, once its name was typed, and the box restarts and moves there.
type DataDisks interface {
	Targets() []datadisk.Target
	Choose(ctx context.Context, device, typed string) (datadisk.Target, error)
}

// DataDisk is a disk that could keep the data of a box.
type DataDisk struct {
	Device string `json:"device"`
	Name   string `json:"name"` // is typed to have it erased
	Words  string `json:"words"`
}

// DataDiskOrder has a box move what it keeps to a disk.
type DataDiskOrder struct {
	Device string `json:"device"`
	Typed  string `json:"typed"` // the name of the disk, as typed
}

// CodeDisk is the code of errors about the data disk.
const CodeDisk = "disk"

func (s *server) dataDisks(*http.Request) (any, error) {
	list := []DataDisk{}
	if s.Disks == nil {
		return list, nil
	}
	for _, t := range s.Disks.Targets() {
		list = append(list, DataDisk{t.Device, t.Name, t.Words})
	}
	return list, nil
}

func (s *server) chooseDisk(r *http.Request) (any, error) {
	var o DataDiskOrder
	if err := decode(r, &o); err != nil {
		return nil, err
	}
	if s.Disks == nil {
		return nil, &Error{CodeDisk, "This box does not run from a card, so there is nothing to move. Nothing was changed. Use redhen with a state directory on the disk."}
	}
	t, err := s.Disks.Choose(r.Context(), o.Device, o.Typed)
	if r, ok := errors.AsType[*flash.Refusal](err); ok {
		return nil, &Error{CodeDisk, r.Sentence}
	}
	if err != nil {
		s.Logger.Warn("data disk", "device", o.Device, "err", err)
		return nil, &Error{CodeDisk, "The disk could not be made ready. What was on it may be lost; what this box keeps is on its card as before. Try another disk."}
	}
	return DataDisk{t.Device, t.Name, t.Words}, nil
}

// DataDisks lists the disks that could keep the box's data.
func (c *Client) DataDisks(ctx context.Context) ([]DataDisk, error) {
	return got[[]DataDisk](ctx, c, "GET", "/v1/disks", nil)
}

// ChooseDisk has the box erase a disk, restart, and move what it keeps there; the first
// takes minutes.
func (c *Client) ChooseDisk(ctx context.Context, o DataDiskOrder) (DataDisk, error) {
	return got[DataDisk](ctx, c, "POST", "/v1/disks", o)
}
