/**
 * Towns that tell where one is when no border is in sight; written for this map, to about 1 km.
 *
 * Invariant: sorted by the zoom from which a town is named, so that the greater one gets the room.
 */
type Town = [name: string, latitude: number, longitude: number];

/** From this zoom on: all over the world. */
const far: Town[] = [
  ['London', 51.51, -0.13], ['Paris', 48.86, 2.35], ['Berlin', 52.52, 13.41], ['Madrid', 40.42, -3.7], ['Rome', 41.9, 12.5],
  ['Istanbul', 41.01, 28.98], ['Moscow', 55.76, 37.62], ['Cairo', 30.04, 31.24], ['Lagos', 6.52, 3.38], ['Nairobi', -1.29, 36.82],
  ['Johannesburg', -26.2, 28.05], ['Dubai', 25.2, 55.27], ['Delhi', 28.61, 77.21], ['Mumbai', 19.08, 72.88], ['Bangkok', 13.76, 100.5],
  ['Singapore', 1.35, 103.82], ['Jakarta', -6.21, 106.85], ['Beijing', 39.9, 116.41], ['Shanghai', 31.23, 121.47], ['Seoul', 37.57, 126.98],
  ['Tokyo', 35.68, 139.69], ['Sydney', -33.87, 151.21], ['Auckland', -36.85, 174.76], ['New York', 40.71, -74.01], ['Chicago', 41.88, -87.63],
  ['Los Angeles', 34.05, -118.24], ['Toronto', 43.65, -79.38], ['Mexico City', 19.43, -99.13], ['Bogotá', 4.71, -74.07], ['Lima', -12.05, -77.04],
  ['São Paulo', -23.55, -46.63], ['Buenos Aires', -34.6, -58.38],
];
/** Capitals and large towns. */
const near: Town[] = [
  ['Vienna', 48.21, 16.37], ['Warsaw', 52.23, 21.01], ['Prague', 50.08, 14.44], ['Budapest', 47.5, 19.04], ['Bucharest', 44.43, 26.1],
  ['Athens', 37.98, 23.73], ['Stockholm', 59.33, 18.07], ['Oslo', 59.91, 10.75], ['Copenhagen', 55.68, 12.57], ['Helsinki', 60.17, 24.94],
  ['Dublin', 53.35, -6.26], ['Lisbon', 38.72, -9.14], ['Brussels', 50.85, 4.35], ['Amsterdam', 52.37, 4.9], ['Kyiv', 50.45, 30.52],
  ['Munich', 48.14, 11.58], ['Hamburg', 53.55, 9.99], ['Milan', 45.46, 9.19], ['Barcelona', 41.39, 2.17], ['Lyon', 45.76, 4.84],
  ['Zürich', 47.38, 8.54], ['Belgrade', 44.79, 20.45], ['Sofia', 42.7, 23.32], ['Zagreb', 45.81, 15.98], ['Riga', 56.95, 24.11],
  ['Vilnius', 54.69, 25.28], ['Tallinn', 59.44, 24.75], ['Casablanca', 33.57, -7.59], ['Algiers', 36.75, 3.06], ['Tunis', 36.81, 10.18],
  ['Accra', 5.6, -0.19], ['Addis Ababa', 9.03, 38.74], ['Kinshasa', -4.44, 15.27], ['Cape Town', -33.92, 18.42], ['Tel Aviv', 32.09, 34.78],
  ['Riyadh', 24.71, 46.68], ['Tehran', 35.69, 51.39], ['Karachi', 24.86, 67.01], ['Dhaka', 23.81, 90.41], ['Bengaluru', 12.97, 77.59],
  ['Hanoi', 21.03, 105.85], ['Manila', 14.6, 120.98], ['Kuala Lumpur', 3.14, 101.69], ['Hong Kong', 22.32, 114.17], ['Taipei', 25.03, 121.57],
  ['Osaka', 34.69, 135.5], ['Melbourne', -37.81, 144.96], ['Perth', -31.95, 115.86], ['Brisbane', -27.47, 153.03], ['San Francisco', 37.77, -122.42],
  ['Seattle', 47.61, -122.33], ['Denver', 39.74, -104.99], ['Houston', 29.76, -95.37], ['Miami', 25.76, -80.19], ['Atlanta', 33.75, -84.39],
  ['Montréal', 45.5, -73.57], ['Vancouver', 49.28, -123.12], ['Santiago', -33.45, -70.67], ['Rio de Janeiro', -22.91, -43.17], ['Brasília', -15.79, -47.88],
];
/** Towns of Central Europe, where the first users are. */
const close: Town[] = [
  ['Frankfurt', 50.11, 8.68], ['Cologne', 50.94, 6.96], ['Stuttgart', 48.78, 9.18], ['Leipzig', 51.34, 12.37], ['Dresden', 51.05, 13.74],
  ['Halle', 51.48, 11.97], ['Hanover', 52.37, 9.73], ['Bremen', 53.08, 8.8], ['Nuremberg', 49.45, 11.08], ['Potsdam', 52.39, 13.06],
  ['Rostock', 54.09, 12.14], ['Kiel', 54.32, 10.14], ['Magdeburg', 52.13, 11.63], ['Erfurt', 50.98, 11.03], ['Dortmund', 51.51, 7.47],
  ['Graz', 47.07, 15.44], ['Linz', 48.31, 14.29], ['Salzburg', 47.81, 13.06], ['Innsbruck', 47.27, 11.39], ['Basel', 47.56, 7.59],
  ['Geneva', 46.2, 6.15], ['Bern', 46.95, 7.45], ['Turin', 45.07, 7.69], ['Bologna', 44.49, 11.34], ['Naples', 40.85, 14.27],
  ['Marseille', 43.3, 5.37], ['Toulouse', 43.6, 1.44], ['Bordeaux', 44.84, -0.58], ['Nantes', 47.22, -1.55], ['Lille', 50.63, 3.06],
  ['Strasbourg', 48.57, 7.75], ['Rotterdam', 51.92, 4.48], ['Antwerp', 51.22, 4.4], ['Luxembourg', 49.61, 6.13], ['Kraków', 50.06, 19.94],
  ['Wrocław', 51.11, 17.04], ['Poznań', 52.41, 16.93], ['Gdańsk', 54.35, 18.65], ['Brno', 49.2, 16.61], ['Bratislava', 48.15, 17.11],
  ['Ljubljana', 46.06, 14.51], ['Gothenburg', 57.71, 11.97], ['Aarhus', 56.16, 10.2], ['Bergen', 60.39, 5.32], ['Manchester', 53.48, -2.24],
  ['Birmingham', 52.49, -1.89], ['Edinburgh', 55.95, -3.19], ['Valencia', 39.47, -0.38], ['Seville', 37.39, -5.98], ['Porto', 41.15, -8.61],
];

export const towns: { name: string; latitude: number; longitude: number; zoom: number }[] = [
  ...named(far, 2.6),
  ...named(near, 4.3),
  ...named(close, 5.8),
];

function named(list: Town[], zoom: number) {
  return list.map(([name, latitude, longitude]) => ({ name, latitude, longitude, zoom }));
}
