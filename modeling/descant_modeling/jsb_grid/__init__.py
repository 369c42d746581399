"""The sounding-pitch grid as an objective: four voices at every 16th, as in the JSB Chorales benchmark."""
