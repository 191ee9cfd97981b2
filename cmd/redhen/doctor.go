package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"redhen/appliance/status"
)

// checkup is what redhen doctor shows as JSON.
type checkup struct {
	Circle string         `json:"circle"`
	House  string         `json:"house"`
	Houses []houseCheckup `json:"houses"`
}

type houseCheckup struct {
	House   string         `json:"house"`
	Here    bool           `json:"here,omitempty"`
	Reached status.Reached `json:"reached"`
	Way     status.Way     `json:"way"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "How each house is reached, why so, and what would help", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.box().Status(cmd.Context())
			if err != nil {
				return err
			}
			c := checkup{Circle: r.Circle, House: r.House}
			for _, h := range r.Houses {
				c.Houses = append(c.Houses, houseCheckup{h.Name, h.Here, h.Reached, h.Way})
			}
			return a.show(c, func(w io.Writer) { tellCheckup(w, c) })
		},
	}
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
}
