package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"redhen/appliance/status"
)

// checkup is what redhen doctor shows as JSON.
type checkup struct {
	Circle string         `json:"circle"`
	Key    string         `json:"key"` // of the circle, for a rented relay
	House  string         `json:"house"`
	Houses []houseCheckup `json:"houses"`

	Strangers status.Strangers `json:"strangers"`
}

type houseCheckup struct {
	House   string         `json:"house"`
	Here    bool           `json:"here,omitempty"`
	Reached status.Reached `json:"reached"`
	Way     status.Way     `json:"way"`
}

func (a *app) doctorCommand() *cobra.Command {
	var strangers string
	cmd := &cobra.Command{
		Use: "doctor", Short: "How each house is reached, why so, and what would help", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strangers != "" {
				return a.setStrangers(cmd.Context(), strangers)
			}
			r, err := a.box().Status(cmd.Context())
			if err != nil {
				return err
			}
			c := checkup{Circle: r.Circle, Key: r.Key, House: r.House, Strangers: r.Strangers}
			for _, h := range r.Houses {
				c.Houses = append(c.Houses, houseCheckup{h.Name, h.Here, h.Reached, h.Way})
			}
			return a.show(c, func(w io.Writer) { tellCheckup(w, c) })
		},
	}
	cmd.Flags().StringVar(&strangers, "strangers", "", "on or off: may strangers help the boxes to find each other while no house can be called")
	return cmd
}

func (a *app) setStrangers(ctx context.Context, word string) error {
	if word != "on" && word != "off" {
		return &usageError{fmt.Errorf("--strangers %q: want on or off", word)}
	}
	if err := a.box().SetStrangers(ctx, word == "on"); err != nil {
		return err
	}
	if word == "on" {
		return a.done("Strangers may help this box to find the others, while no house can be called. They learn where it is, and can read nothing.")
	}
	return a.done("Strangers do not help this box any more.")
}

func tellCheckup(w io.Writer, c checkup) {
	for _, h := range c.Houses {
		fmt.Fprintf(w, "%s: %s\n", h.House, h.Reached.Words)
		if h.Way.Why != "" {
			fmt.Fprintf(w, "    %s\n", h.Way.Why)
		}
		if h.Way.Do != "" {
			fmt.Fprintf(w, "    What would help: %s\n", h.Way.Do)
		}
	}
	if c.Strangers.Words != "" {
		fmt.Fprintln(w, c.Strangers.Words)
	}
	fmt.Fprintf(w, "For a relay on a rented server: redhen relay --allow %s\n", c.Key)
}
